"""Plain values (YAML, JSON) -> config dataclasses, strict: an unknown key or a wrong type is an error and its place."""

import dataclasses
import json
import math
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mixpo.errors import FieldError, RecipeError
from mixpo.validation import mistake, mistakes_in, unknown_key, validate

T = TypeVar("T")
SEEDS = 1 << 32
"""Seeds are below it: NumPy, which a training seeds as well, takes no larger ones, and none below 0."""


def build(
    config_type: type[T], values: Mapping[str, Any], where: str = "", at: Callable[[str], str] | None = None
) -> T:
    """A dataclass from plain values: nested dataclasses, tuples, enums, `int | None`.

    YAML's own ways are taken: 5e-6 (text to YAML) for a number, a number for text, one value for a list of one, true
    for an enum's "true".
    Raises FieldError with the path from `where` on for an unknown or missing key or a value of another type, and for
    the ValueError of a dataclass's own `__post_init__`, whose sentence is passed on; what builds a part there
    (a source's or a benchmark's config) raises a FieldError of its own, which goes on from the dataclass's place.
    With `at`, which turns a path into file and line, it is a RecipeError that says those.
    """
    given = plain(values)
    while True:
        try:
            _refuse_numbers(given)
            return validate(config_type, json.dumps(given, default=str))
        except ValidationError as error:
            mended = [_as_meant(given, found) for found in mistakes_in(config_type, error)]
            if any(mended):
                continue
            wrong = mistake(config_type, error)
        except FieldError as error:
            wrong = error
        wrong = FieldError((where, *wrong.path) if where else wrong.path, wrong.sentence)
        raise wrong if at is None else RecipeError(f"{at(wrong.place)}: {wrong.sentence}") from None


def _refuse_numbers(value: Any, path: tuple[str | int, ...] = ()) -> None:
    """Raises FieldError: for .inf and .nan, numbers to YAML that no field means, and for larger seeds than `SEEDS`."""
    if type(value) is int and (path[-1:] == ("seed",) or path[-2:-1] == ("seeds",)) and not 0 <= value < SEEDS:
        raise FieldError(path, f"must be a whole number from 0 to {SEEDS - 1}, not {value}")
    if isinstance(value, float) and not math.isfinite(value):
        raise FieldError(path, f"must be a finite number, not {value!r}")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _refuse_numbers(item, (*path, key))


def _as_meant(values: Any, found: Mapping[str, Any]) -> bool:
    """Puts what is meant into the place of a value that YAML, or who writes it, has another way to write."""
    value, kind = found["input"], found["type"]
    if kind == "float_type" and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return False
    elif kind == "string_type" and type(value) in (int, float):
        value = str(value)
    elif kind == "enum" and isinstance(value, bool):
        value = str(value).lower()
    elif kind == "tuple_type" and isinstance(value, str | int | float):
        value = [value]
    else:
        return False
    *parents, last = found["loc"]
    for parent in parents:
        values = values[parent]
    values[last] = value
    return True


def refuse_unknown(
    values: Mapping[str, Any], known: typing.Sequence[str], where: str, at: Callable[[str], str]
) -> None:
    """Raises RecipeError for a key that is not among those known, with its place."""
    for key in values:
        if key not in known:
            raise RecipeError(f"{at(f'{where}.{key}' if where else str(key))}: {unknown_key(key, known)}")


def plain(value: Any) -> Any:
    """A config as plain YAML values: what is saved as the resolved recipe."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, StrEnum | Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
