"""`mixpo ablate STUDY`: many trainings on the same data and the same budget, evaluated side by side.

    name: ablation
    run: runs/ablation
    model: base
    study:
      seeds: [0, 1, 2]
      data: {questions: {…}, sample: {…}, verify: {}, pair: {…}}     sections as in a recipe
      train: {pairs: pair, batch: 64, …}                            what all trainings share
      variants: {sft: {objective: {preference_weight: 0, quality_weight: 0}}, mpo: {}}
      evaluate: {benchmarks: {…}}

A study is written out as one recipe and run as one: what variants share is done once, once a seed where a seed changes
it; a study that is killed goes on where it stopped.
"""

import dataclasses
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.evaluation.ablation import Plan, summarise
from mixpo.evaluation.evaluate import Config, gather
from mixpo.files import RunFiles
from mixpo.names import at_home
from mixpo.pipeline import run_recipe
from mixpo.recipe import SHARED, Recipe, Section, named
from mixpo.references import pointed, references, trained_by
from mixpo.resolve import pinned, resolve, step_of
from mixpo.training.few_records import SAME_BATCH
from mixpo.yaml_file import parse_value, read_yaml

UNSEEDED = ("questions", "demonstrations", "base_model", "compose", "train")
"""Steps of the data that are done once whatever the number of seeds, unless they read what is done once a seed."""
TOP_LEVEL = ("name", "run", *SHARED, "study")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is compared."""

    seeds: tuple[int, ...] = (0,)
    """Each samples, pairs and trains anew."""
    data: dict[str, dict] = field(default_factory=dict)
    """Sections that all variants share, in order."""
    train: dict[str, Any] = field(default_factory=dict)
    """Values of every training: pairs, batch, learning rate …"""
    variants: dict[str, dict] = field(default_factory=dict)
    """Name -> what it changes of `train`."""
    only: tuple[str, ...] = ()
    """The variants that are done, and of the data what they need; empty: everything."""
    evaluate: dict[str, Any] = field(default_factory=dict)
    """An evaluate section without its models."""
    base: str = "base"
    """The name in the table of the model that all trainings start from."""
    against: str = "mpo"
    """The variant that the others are compared with."""

    def __post_init__(self) -> None:
        if not self.seeds or not self.variants or not self.evaluate.get("benchmarks"):
            raise ValueError("a study needs seeds, variants and evaluate.benchmarks")
        if "models" in self.evaluate:
            raise ValueError("evaluate.models: a study evaluates its variants and what they start from; leave it out")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed stands twice")
        unknown = next((name for name in self.only if name not in self.variants), None)
        if unknown:
            raise ValueError(f"only: {unknown!r} is none of the variants {', '.join(self.variants)}")
        if self.against not in self.done:
            raise ValueError(f"against: {self.against!r} is none of the variants {', '.join(self.done)}")
        if self.base in self.variants:
            raise ValueError(f"variant {self.base!r} has the name of the base model")

    @property
    def done(self) -> dict[str, dict]:
        """The variants that are done, in their order."""
        return {name: self.variants[name] for name in self.variants if not self.only or name in self.only}


def ablate(path: Path, overrides: Sequence[str] = (), jobs: int = 1, redo: Sequence[str] | None = None) -> RunFiles:
    """Runs the study, `jobs` models at a time, prints its table, and writes `ablation.json`, `.md` and `.html`.

    `redo`: as in `run_recipe`.
    """
    recipe, study = load_study(path, overrides)
    os.environ[SAME_BATCH] = "true"  # also for the processes that train
    try:
        files = run_recipe(recipe, jobs=jobs, redo=redo)
    finally:
        os.environ.pop(SAME_BATCH)
    trained = {(variant, seed): _named(variant, seed) for variant in study.done for seed in study.seeds}
    plan = Plan(
        seeds=study.seeds, variants=tuple(study.done), base=study.base, against=study.against,
        sections=trained, shared=tuple(recipe.sections.keys() - {"evaluate", *trained.values()}),
    )  # fmt: skip
    summarise(plan, files, *gather(recipe.config(recipe.sections["evaluate"], Config), files))
    page = import_module("mixpo.report.ablation").write(files)
    output.tell(f"ablation: {page}, with ablation.json and ablation.md beside it")
    return files


def load_study(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, Study]:
    """The study's recipe, and the study. Raises RecipeError naming the file."""
    path = at_home(path)
    raw, lines = read_yaml(path, "study", TOP_LEVEL)
    if not isinstance(raw["study"], dict):
        raise RecipeError(f"{path}:{lines['study']}: study: must be a mapping, not {raw['study']!r}")
    for override in overrides:
        _set(raw, override)
    unknown = next((key for key in raw if key not in TOP_LEVEL), None)
    if unknown:
        raise RecipeError(f"{path}: {unknown}: unknown key; a study has {', '.join(TOP_LEVEL)}")
    study = build(Study, raw["study"], "study", lambda key: f"{path}: {key}")
    name, run = named(raw, str(path), lambda key: f"{path}:{lines[key]}: {key}" if key in lines else f"{path}: {key}")
    model = raw.get("model") or "base"
    if not isinstance(model, str):
        raise RecipeError(f"{path}: model: must be text, not {model!r}")
    seed = raw.get("seed", 0)
    if type(seed) is not int:
        raise RecipeError(f"{path}: seed: must be a whole number, not {seed!r}")
    shared = {**{key: raw[key] for key in SHARED if key in raw}, "model": model, "seed": seed}
    sections = expand(study, model, str(path), run)
    recipe = Recipe(str(path), name, run, shared, sections, {}, overrides=tuple(overrides), command="mixpo ablate")
    return recipe, study


def expand(study: Study, model: str, where: str = "study", run: str = "runs/study") -> dict[str, Section]:
    """The sections of the study's recipe, by name, in the order in which they run."""
    data = _sections(study, model, where, run)
    needed = _needed(data, list(study.done), model) if study.only else data.keys()
    seeded: set[str] = set()
    sections: dict[str, Section] = {}
    for name, section in data.items():
        if name not in needed:
            continue
        fits = name in study.done or section.step not in UNSEEDED
        if fits or any(reference.section in seeded for reference in references(section.values)):
            seeded.add(name)
        if name in seeded and "seed" in section.values:
            raise RecipeError(f"{where}: study: {name}.seed: each of study.seeds takes its place; leave it out")
        for seed in study.seeds if name in seeded else (None,):
            values = section.values if seed is None else _of_seed(section, seeded, seed)
            _refuse_twice(_named(name, seed), sections, where)
            sections[_named(name, seed)] = Section(_named(name, seed), section.step, values)
    if trained_by(model) in seeded:
        raise RecipeError(f"{where}: model: {model!r} is trained once for each seed; all variants need one start")
    trained = [_named(variant, seed) for variant in study.done for seed in study.seeds]
    _refuse_twice("evaluate", sections, where)
    _refuse_twice(study.base, trained, where)
    models = {study.base: model, **{name: f"step:{name}" for name in trained}}
    sections["evaluate"] = Section("evaluate", "evaluate", {"compare": "first", **study.evaluate, "models": models})
    return sections


def _refuse_twice(name: str, others: Container[str], where: str) -> None:
    """Raises RecipeError where two sections of the study's recipe, or two of its models, would have one name."""
    if name in others:
        raise RecipeError(f"{where}: study: two of its sections or models would be called {name!r}; rename one")


def _sections(study: Study, model: str, where: str, run: str) -> dict[str, Section]:
    """The data's sections and a training for each variant, every reference written out."""
    clash = next((name for name in study.done if name in study.data), None)
    if clash:
        raise RecipeError(f"{where}: study.variants.{clash}: a section of the data has this name")
    sections = {}
    for name, values in study.data.items():
        rest = {key: value for key, value in values.items() if key != "uses"}
        sections[name] = Section(name, str(values.get("uses", name)), rest)
    sections |= {name: Section(name, "train", _merged(study.train, own)) for name, own in study.done.items()}
    recipe = Recipe(where, "study", run, {"model": model, "seed": 0}, sections, {})
    return pinned(recipe, resolve(recipe))


def _needed(sections: dict[str, Section], variants: list[str], model: str) -> set[str]:
    """The trainings, and the sections that they and the model they start from are made of."""
    needed: set[str] = set()
    todo = [*variants, *([start] if (start := trained_by(model)) else [])]
    while todo:
        name = todo.pop()
        if name in sections and name not in needed:
            needed.add(name)
            todo += [reference.section for reference in references(sections[name].values)]
    return needed


def _named(name: str, seed: int | None) -> str:
    return name if seed is None else f"{name}-s{seed}"


def _of_seed(section: Section, seeded: set[str], seed: int) -> dict[str, Any]:
    """The values with the seed; every section that they name is that of the seed."""
    fields = {item.name for item in dataclasses.fields(step_of(section).Config)}
    names = {name: _named(name, seed) for name in seeded}
    return {**({"seed": seed} if "seed" in fields else {}), **section.values, **pointed(section.values, names)}


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `values`, mappings (the objective) key by key."""
    merged = dict(values)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _set(raw: dict[str, Any], override: str) -> None:
    """`study.seeds=[0]` or `run=runs/mine`."""
    key, equals, text = override.partition("=")
    *parents, last = key.split(".")
    if not equals or not last:
        raise RecipeError(f"override {override!r}: write it as study.field=value")
    place: Any = raw
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise RecipeError(f"override {override!r}: {parent!r} is not a mapping")
    place[last] = parse_value(text, f"override {override!r}")
