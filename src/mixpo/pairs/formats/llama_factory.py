"""LLaMA-Factory's sharegpt ranking format: a JSON file, and the `dataset_info.json` that declares it.

{"conversations": [{"from": "human", "value": "<image>…"}], "chosen": {"from": "gpt", "value": …},
 "rejected": {"from": "gpt", "value": …}, "images": [path]}
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, Unsupported
from mixpo.pairs.formats.pictures import ExportPictures
from mixpo.pairs.formats.row import (
    PLACEHOLDER,
    Content,
    images_of,
    own_fields,
    refuse_placeholders,
    without_placeholders,
)
from mixpo.records import PreferencePair
from mixpo.tables import write_jsonl
from mixpo.values import short

FILE = "mixpo_pairs.jsonl"
"""LLaMA-Factory reads .json and .jsonl alike, through `datasets`."""
DECLARATION = {
    "mixpo_pairs": {
        "file_name": FILE,
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"},
    }
}


def row(pair: PreferencePair, answer: str | None, pictures: ExportPictures) -> dict[str, Any]:
    """Raises Unsupported for text that reads as an image, ImageError when an image is not there."""
    refuse_placeholders(pair)
    return {
        "conversations": [{"from": "human", "value": PLACEHOLDER * len(pair.images) + pair.prompt}],
        "chosen": {"from": "gpt", "value": pair.chosen},
        "rejected": {"from": "gpt", "value": pair.rejected},
        "images": [pictures.copied(image) for image in pair.images],
        **own_fields(pair, answer),
    }


def write(rows: Iterable[dict[str, Any]], out: Path) -> int:
    """Writes the rows and `dataset_info.json`: `dataset_dir` and `media_dir` are this folder."""
    count = write_jsonl(rows, out / FILE)
    (out / "dataset_info.json").write_text(json.dumps(DECLARATION, indent=2) + "\n", encoding="utf-8")
    return count


def content(row: Mapping[str, Any]) -> Content:
    """What a row says. Raises BadRow or Unsupported."""
    images = images_of(row)
    if row.get("system"):
        raise Unsupported("a system prompt: a pair has a user's turn only")
    turns = row.get("conversations", row.get("messages"))
    if not isinstance(turns, list) or not turns:
        raise BadRow(f"conversations must be a list of turns, not {short(turns)}")
    if len(turns) > 1:
        raise Unsupported(f"{len(turns)} turns before the answer; a pair has one")
    prompt = _value(turns[0], ("human", "user"), "the prompt")
    answers = [_value(row.get(name), ("gpt", "assistant"), name) for name in ("chosen", "rejected")]
    return Content(
        prompt=without_placeholders(prompt, len(images)), chosen=answers[0], rejected=answers[1], images=images
    )


def _value(turn: Any, roles: tuple[str, ...], what: str) -> Any:
    if not isinstance(turn, Mapping):
        raise BadRow(f"{what} must be a turn, not {short(turn)}")
    role = turn.get("from", turn.get("role"))
    if role not in roles:
        raise Unsupported(f"{what} is a turn of {role}, not of {roles[0]}")
    return turn.get("value", turn.get("content"))
