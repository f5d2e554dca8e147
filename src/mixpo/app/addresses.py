"""Addresses of the app's pages: where a row leads, and what an address or a form says."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mixpo.errors import UserError
from mixpo.report.reviews import Side


def href(name: str, row: Mapping[str, Any]) -> str:
    """Where a row of a list leads; responses lead to their question."""
    if name == "responses":
        return f"/question?{urlencode({'id': row['question_id']})}"
    single = {"questions": "question", "pairs": "pair"}.get(name)
    return f"/{single}?{urlencode({'id': row['id']})}" if single else ""


def link(path: str, values: Mapping[str, str]) -> Any:
    """Page number -> the same list's address."""
    kept = {key: value for key, value in values.items() if key != "page" and value}
    return lambda number: f"{path}?{urlencode({**kept, 'page': number})}"


def number(values: Mapping[str, str]) -> int:
    text = values.get("page", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def share(values: Mapping[str, str], name: str, default: float) -> float:
    try:
        return min(1.0, max(0.0, float(values.get(name) or default)))
    except ValueError:
        return default


def side(text: str) -> Side:
    if text not in list(Side):
        raise UserError(f"{text[:40]!r} is none of {', '.join(Side)}")
    return Side(text)
