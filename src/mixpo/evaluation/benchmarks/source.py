"""A benchmark's questions: from a local copy or from the hub, in the official wording or in mixpo's own.

    {loader: mathvista, path: ~/data/MathVista, split: testmini}

A `loader` of `mixpo.questions` (scenes, nlvr, jsonl …) works in the same place.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mixpo.config import build
from mixpo.errors import BadRow, FieldError, RecipeError
from mixpo.evaluation.benchmarks import from_loaders, llm_judged, mathematics, multiple_choice, short_answers
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.own_files import only_its_own, unrepeated
from mixpo.evaluation.benchmarks.published import hub_rows, local_rows
from mixpo.files import RunFiles
from mixpo.model_inputs import AS_IS, ImagesConfig
from mixpo.names import at_home, wrong_name
from mixpo.questions import collect
from mixpo.questions.rows import ReadOptions, item
from mixpo.questions.source import Item, data_path, first, left_out
from mixpo.records import Dropped, DropReason
from mixpo.registry import chosen
from mixpo.tables import ENDINGS, ending

DECLARED: dict[str, Benchmark] = (
    multiple_choice.BENCHMARKS | mathematics.BENCHMARKS | short_answers.BENCHMARKS | llm_judged.BENCHMARKS
    | from_loaders.BENCHMARKS
)  # fmt: skip
BENCHMARKS = tuple(sorted(DECLARED))
"""Their names."""


OWN = "file"
"""The loader of questions of one's own (`mixpo.questions.file`)."""
ALIKE = 0.85
"""A name so like a benchmark's is a slip of the pen, not a name of one's own."""


class Wording(StrEnum):
    """In whose words a model is asked."""

    OFFICIAL = "official"
    """The publisher's, or the common evaluation kits', where they have a prompt for the style asked for."""
    OWN = "own"
    """mixpo's, as in training."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a recipe may say of a benchmark."""

    path: str = ""
    """A local copy, file or folder, in the publisher's format or VLMEvalKit's; empty: from the hub."""
    split: str = ""
    """Empty: the one that papers report."""
    image_root: str = ""
    """The folder that image paths start at; empty: the one of `path`."""
    wording: Wording = Wording.OFFICIAL
    """In whose words questions are asked; where the publisher has none for a style, in mixpo's."""
    limit: int | None = None
    """At most so many questions, from the start."""


def named(text: str, where: str) -> tuple[str, str, str]:
    """Name, loader and path ("": from the hub) of `NAME`, or of `NAME=a copy or a file of questions of one's own`.

    Raises RecipeError for a name that is a slip of a benchmark's, or that is none and has no path.
    """
    name, equals, path = text.partition("=")
    if name in BENCHMARKS:
        return name, name, path
    if not equals and (ending(Path(text)) in ENDINGS or at_home(text).exists()):
        stem = re.sub(r"\W+", "-", Path(text).name.partition(".")[0]).strip("-") or "mine"
        raise RecipeError(f"{where} {text}: give the questions a name, {where} {stem}={text}")
    if name == OWN and not path:
        raise RecipeError(f"{where} {name}: write {name}=PATH, the path of your questions")
    if difflib.get_close_matches(name, BENCHMARKS, 1, ALIKE):
        chosen(name, BENCHMARKS, where)
    if not path:
        known = f"none of {', '.join(BENCHMARKS)}"
        raise RecipeError(f"{where}: {name!r} is {known}; for questions of your own write {name}=PATH")
    if wrong := wrong_name(name, "a benchmark"):
        raise RecipeError(f"{where} {text}: {wrong}")
    return name, OWN, path


def benchmark(name: str) -> Benchmark | None:
    """The benchmark of that name; None when there is none (a loader, perhaps)."""
    return DECLARED.get(name)


def check(name: str, values: dict[str, Any], where: str) -> None:
    """Raises FieldError with the path from `where` on for an unknown loader or field, before anything has started."""
    chosen(values.get("loader"), dict.fromkeys((*BENCHMARKS, *collect.LOADERS)), f"{where}.loader")
    if _published(values) is None:
        collect.loader_of(name, _values(values), where)
    else:
        _config(name, values, where)


def asks_for_frames(name: str, values: dict[str, Any]) -> bool:
    """Whether its questions may have videos, and its values do not say themselves which frames are taken."""
    return _published(values) is None and collect.asks_for_frames(name, _values(values))


def collect_into(
    name: str, values: dict[str, Any], seed: int, files: RunFiles, images: ImagesConfig = AS_IS.images
) -> None:
    """Writes the questions and images that the run does not hold yet; what is left out has its reason.

    `images`: which frames of videos are taken, where the benchmark's values do not say it.
    """
    found = _published(values)
    if found is None:
        collect.run(collect.Config(name=name, seed=seed, sources={name: _values(values)}, images=images), files)
    else:
        collect.store(load(found, _config(name, values, name), name), {name: f"images/{name}"}, name, files)


def opened(name: str, values: dict[str, Any], seed: int) -> tuple[Iterator[Item | Dropped], Any, Path | None]:
    """Its questions before anything is written, what its loader was told, and where images lie that stay in place.

    Raises FieldError; the iterator what a loader raises.
    """
    found = _published(values)
    if found is not None:
        config = _config(name, values, name)
        return load(found, config, name), config, None
    loader, own = collect.loader_of(name, _values(values), name)
    return loader.load(own, name, seed), own, loader.image_root(own)


def load(found: Benchmark, config: Config, name: str) -> Iterator[Item | Dropped]:
    """Every row's question, in the order of the publisher. Raises DataError when nothing can be read."""
    return first(_items(found, config, name), config.limit)


def _items(found: Benchmark, config: Config, name: str) -> Iterator[Item | Dropped]:
    split = config.split or found.split
    root = data_path(config.image_root) if config.image_root else None
    if config.path:
        path = data_path(config.path)
        root = root or (path if path.is_dir() else path.parent)
        rows = (found.read or local_rows)(path, split)
    else:
        rows = hub_rows(found.hub, found.subset, split)
    options = ReadOptions(source=name, root=root, store=True)
    read = (
        (where, row, question_of(found, row, number, f"{name}/{where}", options, config.wording))
        for number, (where, row) in enumerate(rows)
    )
    yield from unrepeated(only_its_own(found, read), name)


def question_of(
    found: Benchmark, row: Row, number: int, where: str, options: ReadOptions, wording: Wording = Wording.OFFICIAL
) -> Item | Dropped:
    """The question a published row holds, or why it holds none; `meta["row"]` is its place in the split, from 0."""
    assert found.columns is not None, "a benchmark with a loader has no rows"
    try:
        if not isinstance(row, dict):
            raise BadRow("a row is a mapping of columns")
        columns = found.columns(row)
    except BadRow as error:
        return left_out(where, DropReason.BAD_ROW, str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return left_out(where, DropReason.BAD_ROW, f"not a row of {found.title} ({error!r})")
    if wording is Wording.OWN:
        columns.pop("prompts", None)
    given = {name: value for name, value in columns.items() if not (isinstance(value, str) and not value.strip())}
    return item({"row": number, **given}, number, where, options)


def _published(values: dict[str, Any]) -> Benchmark | None:
    found = benchmark(str(values.get("loader")))
    return found if found and not found.loader else None


def _values(values: dict[str, Any]) -> dict[str, Any]:
    """A benchmark that a loader reads: that loader's fields, the benchmark's own where none are given."""
    found = benchmark(str(values.get("loader")))
    return {**found.defaults, **values, "loader": found.loader} if found else values


def _config(name: str, values: dict[str, Any], where: str) -> Config:
    if wrong := wrong_name(name, "a benchmark"):
        raise FieldError([where], wrong)
    return build(Config, {key: value for key, value in values.items() if key != "loader"}, where)
