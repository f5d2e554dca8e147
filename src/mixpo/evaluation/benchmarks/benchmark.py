"""What a benchmark declares: where it lies, what its rows ask, and what it scores besides accuracy.

Modules of this package declare them in their `BENCHMARKS`. A benchmark's `columns` turns a row, as the publisher or
VLMEvalKit wrote it, into the columns of `mixpo.questions.rows`; every other key it gives is kept in the question's
`meta`, where `prompts` (style -> the whole user turn) holds the official wording.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.evaluation.metrics import Metric

Row = Mapping[str, Any]
Rows = Iterator[tuple[str, dict[str, Any]]]
"""(`<file>:<row>`, the row) of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One benchmark."""

    title: str
    """Its name for people, with the paper."""
    columns: Callable[[Row], dict[str, Any]] | None = None
    """A row -> the columns of a question. Raises `mixpo.errors.BadRow` for one that is no question."""
    marks: tuple[str, ...] = ()
    """Columns that tell its rows from another data set's, several forms of them: "level subject" is a form whose rows
    have both. A file whose rows have those of no form is refused."""
    hub: str = ""
    """Its name on the Hugging Face hub; with `subset`, the data set's configuration."""
    subset: str = ""
    split: str = "test"
    """The split reported in papers."""
    read: Callable[[Path, str], Rows] | None = None
    """How a local copy is read, where it isn't rows of one kind of file."""
    loader: str = ""
    """Instead of `columns`: the loader of `mixpo.questions` that reads it, with the fields in `defaults`."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    """What is reported besides accuracy."""
    open_ended: bool = False
    """Whether its questions have no ground truth: `metrics` alone score the answers."""
    by_llm: bool = False
    """Whether answers are free-form and need an LLM judge (`llm_judge`): without one all are UNDECIDED."""
