"""Plain values (YAML, JSON) -> config dataclasses, strict: an unknown key or a wrong type is an error and its place."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from mixpo.errors import RecipeError

T = TypeVar("T")


def build(config_type: type[T], values: Mapping[str, Any], where: str, at: Callable[[str], str] = str) -> T:
    """A dataclass from plain values: nested dataclasses, tuples, enums, `int | None`.

    Raises RecipeError naming `where` for an unknown or missing key or a value of another type. A
    dataclass's own `__post_init__` may raise ValueError (or RecipeError); its sentence is passed on.
    """
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    refuse_unknown(values, tuple(fields), where, at)
    hints = typing.get_type_hints(config_type)
    given = {key: _convert(hints[key], value, f"{where}.{key}" if where else key, at) for key, value in values.items()}
    for name, field in fields.items():
        if name not in given and field.default is field.default_factory is dataclasses.MISSING:
            raise RecipeError(f"{at(where)}: {name!r} is missing")
    try:
        return config_type(**given)
    except (ValueError, RecipeError) as error:
        raise RecipeError(f"{at(where)}: {error}") from error


def refuse_unknown(
    values: Mapping[str, Any], known: typing.Sequence[str], where: str, at: Callable[[str], str]
) -> None:
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
            raise RecipeError(f"{at(f'{where}.{key}' if where else str(key))}: unknown key; {hint}")


def _convert(hint: Any, value: Any, where: str, at: Callable[[str], str]) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, types.UnionType):
        parts = typing.get_args(hint)
        if value is None and type(None) in parts:
            return None
        return _convert(next(part for part in parts if part is not type(None)), value, where, at)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise RecipeError(f"{at(where)}: must be a mapping, not {value!r}")
        return build(hint, value, where, at)  # type: ignore[arg-type]
    origin = typing.get_origin(hint)
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        inner = typing.get_args(hint)[0]
        return tuple(_convert(inner, item, f"{where}.{number}", at) for number, item in enumerate(items))
    if origin is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{at(where)}: must be a mapping, not {value!r}")
        inner = typing.get_args(hint)[1]
        return {str(key): _convert(inner, item, f"{where}.{key}", at) for key, item in value.items()}
    return _convert_scalar(hint, value, where, at)


def _convert_scalar(hint: type, value: Any, where: str, at: Callable[[str], str]) -> Any:
    if issubclass(hint, StrEnum):
        if value in list(hint):
            return hint(value)
        raise RecipeError(f"{at(where)}: {value!r} is none of {', '.join(hint)}")
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        # YAML reads 5e-6 (no dot) as text.
        try:
            return float(value)
        except ValueError:
            pass
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if type(value) is not hint:
        raise RecipeError(f"{at(where)}: must be {_english(hint)}, not {value!r}")
    return value


def _english(hint: type) -> str:
    return {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a mapping"}.get(
        hint, hint.__name__
    )


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
