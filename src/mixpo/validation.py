"""JSON text -> dataclasses, strictly, by pydantic; a mistake is where it stands, and a sentence."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from mixpo.errors import FieldError

T = TypeVar("T")
KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
}
"""What a value must be, by pydantic's name of the error that says that it is not."""


def validate(wanted: type[T], text: str | bytes, extra: Literal["forbid", "ignore"] = "forbid") -> T:
    """The dataclass that a JSON object holds: no field more, none missing, no value of another type.

    A whole number is a number, a list is a tuple, and an enum stands as its value; nothing else is converted. Raises
    pydantic's ValidationError, which is a ValueError; `mistake` says it for people.
    """
    return _validator(wanted)(text, strict=True, extra=extra)  # type: ignore[arg-type]


@cache
def _validator(wanted: type[T]) -> Callable[..., T]:
    return TypeAdapter(wanted).validate_json


def mistakes_in(wanted: type, error: ValidationError) -> list[dict[str, Any]]:
    """All mistakes, each where it stands (`loc`) and in what (`within`, a type); where a name or a mapping may stand,
    those of the kind that was given."""
    found = []
    for one in error.errors(include_url=False):
        within = _walked(wanted, one["loc"][:-1])[0]
        mapping = next(filter(dataclasses.is_dataclass, _kinds(within)), None)
        if mapping and (one["type"] == "enum") == isinstance(one["input"], dict):
            continue
        if mapping and one["type"] == "enum":
            (first, *_) = dataclasses.fields(mapping)
            one["ctx"] = {"expected": f"{one['ctx']['expected']}, {{{first.name}: …}}"}
        found.append({**one, "loc": _walked(wanted, one["loc"])[1], "within": within})
    return found


def mistake(wanted: type, error: ValidationError) -> FieldError:
    """The first mistake; an unknown field before any other, since it may be the missing one with a typing error."""
    mistakes = mistakes_in(wanted, error)
    first = next((found for found in mistakes if found["type"] == "unexpected_keyword_argument"), mistakes[0])
    path, kind, value = first["loc"], first["type"], first["input"]
    if kind == "unexpected_keyword_argument":
        known = [field.name for field in dataclasses.fields(first["within"])]
        return FieldError(path, unknown_key(path[-1], known))
    if kind == "missing":
        return FieldError(path[:-1], f"{path[-1]!r} is missing")
    if kind == "value_error":
        cause = first["ctx"]["error"]
        return (
            FieldError((*path, *cause.path), cause.sentence)
            if isinstance(cause, FieldError)
            else FieldError(path, str(cause))
        )
    words = [found["ctx"]["expected"].strip("'") for found in mistakes if found["type"] == "literal_error"]
    if words and kind in KINDS:  # a field of either kind, as `int | Literal["auto"]`
        near = closest(str(value), words)
        return FieldError(path[:-1], f"must be {KINDS[kind]} or {words[0]}, not {value!r}{f'; {near}' if near else ''}")
    if kind == "enum":
        known = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        near = closest(str(value), known.split(", "))
        return FieldError(path, f"{value!r} is none of {known}{f'; {near}' if near else ''}")
    words = [found for found in mistakes if found["type"] == "literal_error" and found["loc"][:-1] == path[:-1]]
    if kind in KINDS and words:  # a number or a word: each of them is a mistake
        return FieldError(path[:-1], f"must be {KINDS[kind]} or {words[0]['ctx']['expected']}, not {value!r}")
    if kind in KINDS:
        return FieldError(path, f"must be {KINDS[kind]}, not {value!r}")
    return FieldError(path, first["msg"])


def unknown_key(key: Any, known: Sequence[str]) -> str:
    """What to say of a key that is not among those known."""
    return f"unknown key; {closest(str(key), known) or 'known keys: ' + ', '.join(known)}"


def closest(name: str, known: Sequence[str]) -> str:
    """`did you mean 'x'?`; empty where no known name is like it."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else ""


def _walked(hint: Any, path: Sequence[int | str]) -> tuple[Any, tuple[int | str, ...]]:
    """The type that stands at a place below another (a field's, a tuple's item's, a dict's value's), and the place
    without pydantic's names of the kinds that may stand there."""
    place: list[int | str] = []
    for part in path:
        if any(map(dataclasses.is_dataclass, _kinds(hint))):
            hint = next((kind for kind in _kinds(hint) if kind.__name__ == part), None)
            continue
        place.append(part)
        if dataclasses.is_dataclass(hint):
            hint = typing.get_type_hints(hint).get(str(part))
        else:
            hint = (*typing.get_args(hint), None, None)[1 if typing.get_origin(hint) is dict else 0]
        hint = without_none(hint)
    return hint, tuple(place)


def _kinds(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else ()


def without_none(hint: Any) -> Any:
    """`X` of `X | None`."""
    if isinstance(hint, types.UnionType) and types.NoneType in typing.get_args(hint):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint
