"""One record as one line of JSON, and back: strict in both directions."""

import dataclasses
import json
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


_encode = json.JSONEncoder(ensure_ascii=False).encode


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


def from_json(record_type: type[T], line: str) -> T:
    """The record a line holds. Raises ValueError when the line is torn, no object, or lacks a field."""
    return from_row(record_type, json.loads(line))


def from_row(record_type: type[T], row: Any) -> T:
    """The record that a line's object holds, as `from_json`."""
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    converters = _converters(record_type)  # type: ignore[arg-type]
    if not row.keys() <= converters.keys():
        raise ValueError(f"unknown field {min(row.keys() - converters.keys())!r}")
    try:
        return record_type(
            **{name: convert(value) if (convert := converters[name]) else value for name, value in row.items()}
        )
    except TypeError as error:
        raise ValueError(str(error).split("__init__() ")[-1]) from None


@cache
def _converters(record_type: type) -> dict[str, Any]:
    hints = typing.get_type_hints(record_type)
    return {field.name: _converter(hints[field.name]) for field in dataclasses.fields(record_type)}


def _converter(hint: Any) -> Any:
    """What turns JSON's value into the field's; None: it is the field's."""
    if isinstance(hint, types.UnionType):
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        convert = _converter(inner)
        return convert and (lambda value: None if value is None else convert(value))
    if typing.get_origin(hint) is tuple:
        return tuple
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return None
