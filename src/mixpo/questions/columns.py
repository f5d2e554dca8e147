"""What data sets call the fields of a question, and which column of a row holds one."""

import math
from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "id",
    "text",
    "system",
    "turns",
    "images",
    "videos",
    "answer",
    "kind",
    "choices",
    "domain",
    "category",
    "precision",
    "unit",
    "meta",
)
NAMES: dict[str, tuple[str, ...]] = {
    "text": ("text", "question", "problem", "query", "prompt", "conversations", "messages"),
    "turns": ("turns", "history"),
    "images": ("images", "image", "image_path"),
    "videos": ("videos", "video", "video_path"),
    "choices": ("choices", "options"),
}
"""What data sets call a field besides its own name: the first that a row has is taken."""
EMPTY = ("text", "system", "turns", "images", "videos")
"""Fields that an empty text or list does not fill: that is how tables and LLaVA's rows say that there is none."""


def column(
    row: Mapping[str, Any], name: str, fields: Mapping[str, str], ids: tuple[str, ...] = ("id",)
) -> tuple[str | None, Any]:
    """The column that holds a field of the question, and its value; None, None where none does."""
    columns = ids if name == "id" and name not in fields else columns_of(name, fields)
    nothing: tuple[Any, ...] = ("", []) if name in EMPTY else ()
    found = (each for each in columns if not is_missing(row.get(each)))
    holder = next((each for each in found if all(row[each] != value for value in nothing)), None)
    return holder, None if holder is None else row[holder]


def columns_of(name: str, fields: Mapping[str, str]) -> tuple[str, ...]:
    """The columns in which a field is looked for."""
    return (fields[name],) if name in fields else NAMES.get(name, (name,))


def is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
