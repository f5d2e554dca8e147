"""Single values of a row as text and numbers, however a file writes them."""

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Mapping
from itertools import chain
from typing import Any

from mixpo.errors import BadRow

WHOLE = re.compile(r"[+-]?\d+(?:\.0+)?", re.ASCII)
BESIDE = re.compile(r"""['"}\d]\s+['"{\d]""")
ATOMS = (tokenize.STRING, tokenize.NUMBER)
LARGEST = 10_000
"""Bits of the largest whole number that is text, some 3,000 digits: Python itself refuses to write one of 4,300."""
EXACT = 1e15
"""Below it a float is the whole number that was written."""
DEEPEST = 100
"""Levels of lists and mappings within each other; no data set has ten."""


def line(name: str, value: Any) -> str:
    """A value that people write as text or as a number, as text. Raises BadRow for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() <= LARGEST:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return number(value)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise BadRow(f"{name} must be text or a number, not {short(value)}")


def number(value: int | float) -> str:
    """A number as people write it: a table has 17 as 17.0, and 1234567 as 1234567.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else str(value)


def whole(value: Any) -> int | None:
    """A whole number, also as a table writes it ("2", 2.0, "2.0"); None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value).strip()
    return int(float(text)) if WHOLE.fullmatch(text) and len(text) < 16 else None


def whole_if_any(value: Any) -> int | None:
    """As `whole`, None where nothing is said. Raises ValueError for anything else."""
    found = whole(value)
    if found is None and value not in (None, ""):
        raise ValueError(f"{short(value)} is no whole number")
    return found


def parsed(value: Any) -> Any:
    """What a list or a mapping written as JSON's, Python's or NumPy's text says; anything else as it stands.

    Never evaluates anything.
    """
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(_with_commas(value.strip()))
    except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
        return value


def _with_commas(text: str) -> str:
    """NumPy prints `['a' 'b']`, and Pandas writes that into tables: to Python it is one text, 'ab'."""
    if not BESIDE.search(text):
        return text
    lines = text.splitlines(keepends=True)
    tokens = [each for each in tokenize.generate_tokens(io.StringIO(text).readline) if each.type != tokenize.NL]
    for one, other in reversed(list(zip(tokens, tokens[1:]))):
        ends, begins = one.string == "}" or one.type in ATOMS, other.string == "{" or other.type in ATOMS
        if ends and begins:
            row, column = one.end
            lines[row - 1] = f"{lines[row - 1][:column]},{lines[row - 1][column:]}"
    return "".join(lines)


def plain(value: Any) -> Any:
    """What JSON can hold of a column's value: dates as text, bytes by their number."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def short(value: Any) -> str:
    """A value as it is quoted in a message."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = f"a {type(value).__name__} with a number of too many digits"
    return text if len(text) <= 60 else f"{text[:57]}…"


def encodable(text: str) -> str:
    """The text with "?" for every lone surrogate, which JSON can carry and UTF-8 cannot."""
    return text.encode(errors="replace").decode()


def refuse_half(value: Any) -> None:
    """Raises BadRow for a lone surrogate in a text, or in the texts of a row: data are not changed, only what a model
    wrote (`encodable`)."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=lambda _: None)
        text.encode()
    except UnicodeEncodeError:
        raise BadRow("a text is not valid Unicode (half a surrogate pair)") from None


def refuse_deep(value: Any) -> None:
    """Raises BadRow for lists and mappings in each other deeper than `DEEPEST`, which another process may be unable to
    read. Not by recursion: its limit is another one once torch.compile has raised it."""
    level = [value]
    for _ in range(DEEPEST):
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = list(chain.from_iterable(inside))
    if level:
        raise BadRow("a value is nested too deeply")
