"""One record as one line of JSON, and back: strict in both directions."""

import dataclasses
import json
import types
import typing
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def to_json(record: Any) -> str:
    """One line of JSON; fields at their default are left out."""
    row = {
        field.name: value
        for field in dataclasses.fields(record)
        if not _is_default(field, value := getattr(record, field.name))
    }
    return json.dumps(row, ensure_ascii=False)


def _is_default(field: dataclasses.Field, value: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return value == field.default and type(value) is type(field.default)
    return field.default_factory is not dataclasses.MISSING and value == field.default_factory()


def from_json(record_type: type[T], line: str) -> T:
    """The record a line holds. Raises ValueError when the line is torn, no object, or lacks a field."""
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    converters = _converters(record_type)  # type: ignore[arg-type]
    unknown = sorted(row.keys() - converters.keys())
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}")
    try:
        return record_type(**{name: converters[name](value) for name, value in row.items()})
    except TypeError as error:
        raise ValueError(str(error).split("__init__() ")[-1]) from None


@cache
def _converters(record_type: type) -> dict[str, Any]:
    hints = typing.get_type_hints(record_type)
    return {field.name: _converter(hints[field.name]) for field in dataclasses.fields(record_type)}


def _converter(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        convert = _converter(inner)
        return lambda value: None if value is None else convert(value)
    if typing.get_origin(hint) is tuple:
        return tuple
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return lambda value: value
