"""One record as one line of JSON, and back; what is read is checked field by field."""

import dataclasses
import json
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from mixpo.records import WRITTEN
from mixpo.validation import mistake, validate
from mixpo.values import refuse_half

T = TypeVar("T")


_encode = json.JSONEncoder(ensure_ascii=False, default=dataclasses.asdict).encode


def to_json(record: Any) -> str:
    """One line of JSON; fields at their default are left out."""
    row = {}
    for name, default in _defaults(type(record)):  # type: ignore[arg-type]
        value = getattr(record, name)
        if value != default or type(value) is not type(default):
            row[name] = value
    return _encode(row)


@cache
def _defaults(record_type: type) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is dataclasses.MISSING else field.default_factory())
        for field in dataclasses.fields(record_type)
    )


def from_json(record_type: type[T], line: str | bytes) -> T:
    """The record a line holds.

    Raises ValueError when the line is torn, no UTF-8 or no object, when a field is missing, unknown or of another type.
    """
    try:
        return validate(record_type, line)
    except ValidationError as error:
        text = line.encode(errors="replace") if isinstance(line, str) else line
        if rb"\ud" in text.lower() and error.errors()[0]["type"] == "json_invalid":
            return from_row(record_type, json.loads(line))
        raise ValueError(str(mistake(record_type, error))) from None


def from_row(record_type: type[T], row: Any) -> T:
    """The record that a line's object holds, as `from_json`; of what a model wrote, half a surrogate pair becomes "?".

    Raises ValueError for one anywhere else: ids and ground truths stay what they are, or are none.
    """
    if isinstance(row, dict):
        written = WRITTEN.get(record_type, row.keys())
        refuse_half({name: value for name, value in row.items() if name not in written})
    try:
        return validate(record_type, json.dumps(row, ensure_ascii=False).encode(errors="replace"))
    except ValidationError as error:
        raise ValueError(str(mistake(record_type, error))) from None
