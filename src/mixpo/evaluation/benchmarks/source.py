"""A benchmark's questions: from a local copy or from the hub, in the official wording or in mixpo's own.

    {loader: mathvista, path: ~/data/MathVista, split: testmini}

A `loader` of `mixpo.questions` (scenes, nlvr, jsonl …) works in the same place.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.evaluation.benchmarks.benchmark import Benchmark, Row
from mixpo.evaluation.benchmarks.published import hub_rows, local_rows
from mixpo.files import RunFiles
from mixpo.questions import collect
from mixpo.questions.rows import BadRow, Reading, item
from mixpo.questions.source import Item, data_path, first, left_out
from mixpo.records import Dropped, DropReason

PACKAGE = "mixpo.evaluation.benchmarks"
BENCHMARKS = (
    "ai2d", "chartqa", "crpe", "docvqa", "llava_bench", "m3cot", "mathverse", "mathvision", "mathvista", "mmhal",
    "mmmu", "mmvet", "nlvr", "pope", "scene_descriptions", "scenes", "scienceqa",
)  # fmt: skip
"""Names, each with its module in this package."""


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
    limit: int | None = None
    """At most so many questions, from the start."""


def benchmark(name: str) -> Benchmark | None:
    """The benchmark of that name; None when there is none (a loader, perhaps)."""
    return importlib.import_module(f"{PACKAGE}.{name}").BENCHMARK if name in BENCHMARKS else None


def check(name: str, values: dict[str, Any]) -> None:
    """Raises RecipeError for an unknown loader or field, before anything has started."""
    loader = values.get("loader")
    if loader not in collect.LOADERS and loader not in BENCHMARKS:
        known = ", ".join((*BENCHMARKS, *collect.LOADERS))
        raise RecipeError(f"benchmarks.{name}.loader: {loader!r} is none of {known}")
    if _published(values) is None:
        collect.Config(name=name, sources={name: _values(values)})
    else:
        _config(name, values)


def collect_into(name: str, values: dict[str, Any], seed: int, files: RunFiles) -> None:
    """Writes the questions and images that the run does not hold yet; what is left out has its reason."""
    found = _published(values)
    if found is None:
        collect.run(collect.Config(name=name, seed=seed, sources={name: _values(values)}), files)
    else:
        collect.store(load(found, _config(name, values), name), {name: f"images/{name}"}, name, files)


def load(found: Benchmark, config: Config, name: str) -> Iterator[Item | Dropped]:
    """Every row's question, in the order of the publisher. Raises DataError when nothing can be read."""
    return first(_items(found, config, name), config.limit)


def _items(found: Benchmark, config: Config, name: str) -> Iterator[Item | Dropped]:
    split = config.split or found.split
    if config.path:
        path = data_path(config.path)
        root = data_path(config.image_root) if config.image_root else path if path.is_dir() else path.parent
        rows = (found.read or local_rows)(path, split)
    else:
        root, rows = Path(), hub_rows(found.hub, found.subset, split)
    reading = Reading(source=name, root=root, store=True)
    for number, (where, row) in enumerate(rows):
        yield question_of(found, row, number, f"{name}/{where}", reading, config.wording)


def question_of(
    found: Benchmark, row: Row, number: int, where: str, reading: Reading, wording: Wording = Wording.OFFICIAL
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
    return item({"row": number, **given}, number, where, reading)


def _published(values: dict[str, Any]) -> Benchmark | None:
    found = benchmark(str(values.get("loader")))
    return found if found and not found.loader else None


def _values(values: dict[str, Any]) -> dict[str, Any]:
    """A benchmark that a loader reads: that loader's fields, the benchmark's own where none are given."""
    found = benchmark(str(values.get("loader")))
    return {**found.defaults, **values, "loader": found.loader} if found else values


def _config(name: str, values: dict[str, Any]) -> Config:
    if not name.replace("_", "").replace("-", "").isalnum():
        raise RecipeError(f"benchmarks.{name}: a benchmark's name is made of letters, digits, - and _")
    return build(Config, {key: value for key, value in values.items() if key != "loader"}, f"benchmarks.{name}")
