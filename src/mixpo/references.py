"""Which section's output a section reads: `pairs: pair`, `model: step:sft`.

What a recipe does not say is filled in by `mixpo.resolve`. A config says it in the type of a field
(`questions: Questions`); the field has the kind's name, so that the references of a saved recipe (plain values)
can be told as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any


class Output(StrEnum):
    """What a section writes, and another reads: what is nearest to training first."""

    PAIRS = "pairs"
    DEMONSTRATIONS = "demonstrations"
    VERDICTS = "verdicts"
    RESPONSES = "responses"
    CONTINUATIONS = "continuations"
    QUESTIONS = "questions"
    MODEL = "model"
    """Named as `step:<section>`; a folder, a hub name and `base` are no reference."""

    @property
    def folder(self) -> str:
        """Where it lies in a run folder."""
        return "checkpoints" if self is Output.MODEL else self.value


@dataclass(frozen=True, slots=True)
class Reads:
    """Marks a config's field that names the section it reads."""

    kind: Output
    optional: bool = False
    """Whether the field may be empty: nothing of the kind is read then."""


Questions = Annotated[str, Reads(Output.QUESTIONS)]
Demonstrations = Annotated[str, Reads(Output.DEMONSTRATIONS)]
Responses = Annotated[str, Reads(Output.RESPONSES)]
Continuations = Annotated[str, Reads(Output.CONTINUATIONS, optional=True)]
Verdicts = Annotated[str, Reads(Output.VERDICTS, optional=True)]
Pairs = Annotated[str, Reads(Output.PAIRS)]
Model = Annotated[str, Reads(Output.MODEL)]


@dataclass(frozen=True, slots=True)
class SectionReference:
    """One field's reference."""

    field: str
    """Its name, for example "pairs" or "models.mpo"."""
    kind: Output
    section: str


def references(values: Mapping[str, Any]) -> Iterator[SectionReference]:
    """All references among a section's values (`vars(config)`, or what a saved recipe holds), the data's first."""
    for kind in Output:
        section = values.get(kind)
        # Who trains on demonstrations trains on no pairs.
        unread = kind is Output.MODEL or (kind is Output.PAIRS and values.get(Output.DEMONSTRATIONS))
        if isinstance(section, str) and section and not unread:
            yield SectionReference(kind, kind, section)
    models = values.get("models")
    named = {f"models.{name}": model for name, model in models.items()} if isinstance(models, dict) else {}
    for field, model in {"model": values.get("model"), **named}.items():
        if isinstance(model, str) and (maker := trained_by(model)):
            yield SectionReference(field, Output.MODEL, maker)


def read_of(values: Mapping[str, Any], kind: Output) -> str:
    """The section that a section reads of a kind; empty: none. The first of several models."""
    return next((reference.section for reference in references(values) if reference.kind is kind), "")


def pointed(values: Mapping[str, Any], sections: Mapping[str, str]) -> dict[str, Any]:
    """What of `values` changes when the sections that `sections` names are read under their new names."""
    changed: dict[str, Any] = {}
    for reference in references(values):
        if reference.section not in sections:
            continue
        new = sections[reference.section]
        field, _, name = reference.field.partition(".")
        if name:
            changed[field] = {**changed.get(field, values[field]), name: f"step:{new}"}
        else:
            changed[field] = f"step:{new}" if reference.kind is Output.MODEL else new
    return changed


def trained_by(model: str) -> str | None:
    """The section whose result a recipe's `model` means (`step:<section>`); None for a model from elsewhere."""
    return model.removeprefix("step:") if model.startswith("step:") else None
