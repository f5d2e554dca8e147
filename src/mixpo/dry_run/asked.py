"""How many questions a source has, and its first ones with their pictures, read without a word on the screen."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mixpo.errors import ImageError, UserError
from mixpo.evaluation.benchmarks import source
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.questions.preview import pictures_of, unsaid
from mixpo.questions.source import Item
from mixpo.records import Question
from mixpo.videos import opened

FIRST = 6
"""Questions whose prompts stand for all."""
MOST = 20_000
"""Rows of a source that are counted."""

Shown = tuple[Question, list[Any]]
"""A question and what it shows."""


def stored(files: RunFiles, section: str) -> list[Shown]:
    """The first questions of a section that has run."""
    roots = ImageRoots.load(files.image_roots_file(section))
    some = islice(files.questions(section), 4 * FIRST)
    return _shown((question, partial(opened, question.images, question.videos, roots)) for question in some)


def first(name: str, values: dict[str, Any], seed: int) -> list[Shown]:
    """The first questions of a source that is on this machine; none of one that is not, or cannot be read."""
    if not is_here(values):
        return []
    with unsaid():
        try:
            entries, _, root = source.opened(name, values, seed)
            some = [*islice((entry for entry in entries if isinstance(entry, Item)), 4 * FIRST)]
        except UserError:
            return []  # the run says it
        return _shown((item.question, partial(pictures_of, item, root)) for item in some if not item.question.videos)


def _shown(found: Iterable[tuple[Question, Callable[[], list[Any]]]]) -> list[Shown]:
    shown: list[Shown] = []
    for question, pictures in found:
        try:
            shown.append((question, pictures()))
        except ImageError:
            continue
        if len(shown) == FIRST:
            break
    return shown


def number(name: str, values: dict[str, Any], seed: int) -> int | None:
    """How many questions a source gives; None: it is not on this machine, or has more than are counted.

    Raises UserError as its loader does.
    """
    if not is_here(values):
        return None
    with unsaid():
        entries, config, _ = source.opened(name, values, seed)
        if hasattr(config, "count"):
            return int(config.count)
        found = sum(isinstance(entry, Item) for entry in islice(entries, MOST + 1))
    return found if found <= MOST else None


def is_here(values: dict[str, Any]) -> bool:
    """Whether a source is on this machine."""
    found, path = source.benchmark(str(values.get("loader"))), str(values.get("path", ""))
    if values.get("loader") == "huggingface":
        return path.startswith(("~", "$")) or Path(path).exists()
    return bool(path) or found is None or bool(found.loader)
