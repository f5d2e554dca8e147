"""What can be said in a recipe: every field of every config with its type, default and docstring (`mixpo fields`)."""

import ast
import dataclasses
import importlib
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from mixpo import output
from mixpo.config import plain
from mixpo.errors import UserError
from mixpo.evaluation.answering import Answering
from mixpo.evaluation.benchmarks import source
from mixpo.pipeline import STEPS
from mixpo.questions.collect import LOADERS
from mixpo.validation import closest, without_none

STUDY = "study"
"""What `mixpo ablate` reads; it can be asked for beside the steps."""
CHOICES = {"questions": tuple(LOADERS), "evaluate": source.BENCHMARKS, "best_of": source.BENCHMARKS}
"""Step -> what one of its fields chooses by name, each with fields of its own: a loader, or a benchmark."""
KINDS = {str: "text", int: "whole number", float: "number", bool: "true or false", dict: "mapping", Any: "anything"}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """One field, as it is shown."""

    name: str
    kind: str
    """The type of its value, in words of YAML: "whole number or null", "list of text"."""
    default: str
    """As YAML has it; "required": there is none."""
    meaning: str
    """Its docstring in one line; empty: it has none."""
    values: str
    """The values of an enum that have a docstring, each with it."""
    holds: type | None
    """The dataclass whose fields stand below it."""

    @property
    def text(self) -> str:
        return f"{self.meaning} {self.values}".strip()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """What can be asked for, and the fields that stand there."""

    name: str
    """`train`, `train.objective`, `train.batch`, `questions.jsonl`, `evaluate.mathvista`."""
    meaning: str
    fields: tuple[Field, ...]


def names() -> dict[str, tuple[str, ...]]:
    """What can be asked for, by kind; parts and single fields of these (`train.objective.beta`) can be, too."""
    return {
        "steps": tuple(STEPS),
        "loaders": tuple(f"questions.{loader}" for loader in LOADERS),
        "benchmarks": tuple(f"evaluate.{name}" for name in source.BENCHMARKS),
        "mixpo ablate": (STUDY,),
    }


def topic(name: str) -> Topic:
    """The fields of a step, a loader, a benchmark, or a part of one; or the one field of that name.

    Raises UserError with the closest name where there is none.
    """
    first, *rest = name.replace("best-of", "best_of").split(".")
    if first not in (*STEPS, STUDY):
        raise _nothing(first, (*STEPS, STUDY))
    found = _step(first)
    for number, part in enumerate(rest):
        known = {field.name: field for field in found.fields}
        choices = CHOICES.get(first, ()) if number == 0 else ()
        where = f"{found.name}.{part}"
        if part in choices:
            found = _choice(first, part)
        elif part not in known:
            raise _nothing(where, [f"{found.name}.{name}" for name in (*known, *choices)])
        elif (holds := known[part].holds) is not None:
            found = Topic(name=where, meaning=known[part].text, fields=fields_of(holds))
        elif number == len(rest) - 1:
            found = Topic(name=where, meaning="", fields=(known[part],))
        else:
            raise UserError(f"{where} has no fields of its own (its type: {known[part].kind}); ask for `{where}`")
    return found


def _nothing(name: str, known: Sequence[str]) -> UserError:
    return UserError(f"no field or step is called {name!r}; {closest(name, known) or 'there are ' + ', '.join(known)}")


def topics() -> Iterator[Topic]:
    """Every step with its parts and what it chooses; a part that several steps have comes with the first of them."""
    seen: set[type] = set()

    def with_parts(found: Topic) -> Iterator[Topic]:
        yield found
        for field in found.fields:
            if field.holds is not None and field.holds not in seen:
                seen.add(field.holds)
                yield from with_parts(topic(f"{found.name}.{field.name}"))

    for step in (*STEPS, STUDY):
        yield from with_parts(_step(step))
        if step != "best_of":  # its benchmarks are those of `evaluate`
            yield from (_choice(step, name) for name in CHOICES.get(step, ()))


def show(name: str = "") -> None:
    """Prints a topic's fields as a table; without a name, what can be asked for. Raises UserError as `topic`."""
    if not name:
        rows = [(kind, ", ".join(listed)) for kind, listed in names().items()]
        title = "mixpo fields NAME, for example train, train.objective, train.objective.beta; NAME is one of"
        output.show({}, [output.TextTable(title, ("", ""), rows, text=2)])
        return
    found = topic(name)
    rows_of = [(field.name, field.kind, field.default, _pointed(field, found.name)) for field in found.fields]
    title = f"{found.name}: {found.meaning}" if found.meaning else found.name
    shown: list[Any] = [output.TextTable(title, ("field", "type", "default", "meaning"), rows_of, text=4)]
    if name in CHOICES:
        shown.append(f"{', '.join(f'{name}.{choice}' for choice in CHOICES[name])} have fields of their own")
    output.show({}, shown)


def _pointed(field: Field, where: str) -> str:
    return field.text if field.holds is None else f"{field.text} Its fields: mixpo fields {where}.{field.name}"


def fields_of(config_type: type, given: Mapping[str, Any] | None = None) -> tuple[Field, ...]:
    """The fields of a config in their order; `given`: values that stand in for defaults."""
    hints, meanings = typing.get_type_hints(config_type), docstrings(config_type)
    return tuple(
        Field(
            name=field.name,
            kind=_kind(hints[field.name]),
            default=_default(field, given or {}),
            meaning=meanings.get(field.name, ""),
            values=_values(hints[field.name]),
            holds=_holds(hints[field.name]),
        )
        for field in dataclasses.fields(config_type)
    )


def docstrings(owner: type) -> dict[str, str]:
    """Field of a dataclass, or member of an enum -> the docstring under it, in one line; a base's where it has none."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__):
        if base.__module__ in ("builtins", "enum"):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(node, ast.ClassDef)
        for field, text in zip(node.body, node.body[1:]):
            target = field.targets[0] if isinstance(field, ast.Assign) else getattr(field, "target", None)
            if isinstance(target, ast.Name) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[target.id] = _line(str(text.value.value))
    return found


def _step(step: str) -> Topic:
    module = importlib.import_module(STEPS.get(step, "mixpo.ablate"))
    config = module.Study if step == STUDY else module.Config
    meaning = _line((module.__doc__ or "").split("\n\n")[0]).removeprefix(f"The step `{step}`: ")
    return Topic(name=step, meaning=meaning, fields=fields_of(config))


def _choice(step: str, name: str) -> Topic:
    if step == "questions":
        config = importlib.import_module(LOADERS[name]).Config
        return Topic(name=f"{step}.{name}", meaning=_line(config.__doc__), fields=fields_of(config))
    found = source.benchmark(name)
    assert found is not None
    if found.loader:
        where = f"the loader {found.loader}"
        fields = fields_of(importlib.import_module(LOADERS[found.loader]).Config, found.defaults)
    else:
        where = f"on the hub {found.hub}, split {found.split}"
        fields = fields_of(source.Config)
    fields += fields_of(Answering) if step == "evaluate" else ()
    return Topic(name=f"{step}.{name}", meaning=f"{found.title}; {where}.", fields=fields)


def _kind(hint: Any) -> str:
    inner = without_none(hint)
    if inner is not hint:
        return f"{_kind(inner)} or null"
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(map(_kind, typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return f"one of {', '.join(hint)}"
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return f"{f'{_kind(item)} or ' * (item is str)}list of {_several(item)}"
    if typing.get_origin(hint) is dict:
        values = typing.get_args(hint)[1]
        return "mapping" if values is Any else f"mapping of {_several(values)}"
    return KINDS.get(hint, "mapping" if dataclasses.is_dataclass(hint) else "text")


def _several(hint: Any) -> str:
    kind = _kind(hint)
    return f"{kind}s" if kind.endswith(("number", "mapping")) else kind


def _default(field: dataclasses.Field, given: Mapping[str, Any]) -> str:
    if field.name in given:
        return _yaml(given[field.name])
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return "{}" if dataclasses.is_dataclass(value) else _yaml(value)
    return "required" if field.default is dataclasses.MISSING else _yaml(field.default)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(plain(value), ensure_ascii=False)


def _values(hint: Any) -> str:
    inner = without_none(hint)
    inner = typing.get_args(inner)[0] if typing.get_origin(inner) is tuple else inner
    kinds = typing.get_args(inner) if isinstance(inner, types.UnionType) else (inner,)
    inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, StrEnum)), None)
    if inner is None:
        return ""
    meanings = docstrings(inner)
    return " ".join(f"`{member.value}`: {meanings[member.name]}" for member in inner if member.name in meanings)


def _holds(hint: Any) -> type | None:
    inner = without_none(hint)
    kinds = typing.get_args(inner) if isinstance(inner, types.UnionType) else (inner,)
    return next((kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
