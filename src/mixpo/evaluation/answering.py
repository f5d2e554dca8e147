"""How the questions of a benchmark are answered: one greedy answer each, or several that are drawn.

descriptions: {loader: scene_descriptions, samples: 4, temperature: 1.0}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mixpo import notes
from mixpo.config import build
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.responses.backend import SamplingParams
from mixpo.text_files import write_text


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Fields of a benchmark in an evaluation, beside those that say where its questions come from."""

    samples: int = 1
    """Answers to each question; scores are over all of them, as in "avg@k"."""
    temperature: float = 0.0
    """0: the most probable token each time."""
    top_k: int = 50
    """Draw among so many most probable tokens; 0: among all. Greedy answers do not need it."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("samples must be at least 1")
        SamplingParams(temperature=self.temperature, top_k=self.top_k)  # raises for what no backend can do
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"{self.samples} samples at temperature 0 would be the same; set temperature above 0")


NAMES = tuple(field.name for field in fields(Answering))


def answering(benchmark: str, values: Mapping[str, Any]) -> Answering:
    """Raises FieldError, from `benchmarks` on, for a value that is none."""
    return build(Answering, {key: values[key] for key in NAMES if key in values}, f"benchmarks.{benchmark}")


def without(values: Mapping[str, Any]) -> dict[str, Any]:
    """The benchmark's other fields."""
    return {key: value for key, value in values.items() if key not in NAMES}


def refuse_other_answers(benchmark: str, now: Answering, more: Mapping[str, Any], begun: bool, inner: RunFiles) -> None:
    """Notes how a benchmark is answered, with `more` that its answers depend on.

    Raises UserError when the evaluation has begun to answer it in another way.
    """
    note, says = inner.json(f"benchmarks/{benchmark}"), {**asdict(now), **more}
    # Without a note they are of a version that knew greedy answers only.
    before = (notes.read(note, dict[str, Any]) or {**asdict(Answering()), **more}) if begun else says
    changed = next((name for name in {**says, **before} if before.get(name) != says.get(name)), None)
    if changed:
        old, new = before.get(changed), says.get(changed)
        raise UserError(
            f"{inner.root} holds answers to {benchmark!r} with {changed} {old}, not {new}; "
            "choose another run folder, or give the benchmark another name"
        )
    write_text(note, json.dumps(says) + "\n")
