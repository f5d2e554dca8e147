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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from mixpo.config import build
from mixpo.errors import RecipeError
from mixpo.evaluation.ablation import Plan, summarise
from mixpo.evaluation.evaluate import Config, gather
from mixpo.files import RunFiles
from mixpo.pipeline import STEPS, run_recipe
from mixpo.progress import say
from mixpo.recipe import Recipe, Section
from mixpo.references import trained_by

REFERENCES = ("questions", "responses", "verdicts", "continuations", "pairs", "demonstrations")
"""Fields of a section that name another section; `model: step:<section>` does so too."""
UNSEEDED = ("questions", "demonstrations", "base_model", "train")
"""Steps of the data that are done once whatever the number of seeds, unless they read what is done once a seed."""
TOP_LEVEL = ("name", "run", "model", "seed", "study")


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


def ablate(path: Path, overrides: Sequence[str] = (), jobs: int = 1) -> RunFiles:
    """Runs the study, `jobs` models at a time, prints its table, and writes `ablation.json`, `.md` and `.html`."""
    recipe, study = load_study(path, overrides)
    files = run_recipe(recipe, jobs=jobs)
    trained = {(variant, seed): _named(variant, seed) for variant in study.done for seed in study.seeds}
    plan = Plan(
        seeds=study.seeds, variants=tuple(study.done), base=study.base, against=study.against,
        sections=trained, shared=tuple(recipe.sections.keys() - {"evaluate", *trained.values()}),
    )  # fmt: skip
    summarise(plan, files, *gather(recipe.config(recipe.sections["evaluate"], Config), files))
    page = import_module("mixpo.report.ablation").write(files)
    say(f"ablation: {page}")
    return files


def load_study(path: Path, overrides: Sequence[str] = ()) -> tuple[Recipe, Study]:
    """The study's recipe, and the study. Raises RecipeError naming the file."""
    raw = _read(path)
    for override in overrides:
        _set(raw, override)
    unknown = next((key for key in raw if key not in TOP_LEVEL), None)
    if unknown:
        raise RecipeError(f"{path}: {unknown}: unknown key; a study has {', '.join(TOP_LEVEL)}")
    study = build(Study, raw.get("study") or {}, "study", lambda key: f"{path}: {key}")
    name = str(raw.get("name") or path.stem)
    model = str(raw.get("model") or "base")
    shared = {"model": model, "seed": int(raw.get("seed") or 0)}
    sections = expand(study, model, str(path))
    return Recipe(str(path), name, str(raw.get("run") or f"runs/{name}"), shared, sections, {}), study


def expand(study: Study, model: str, where: str = "study") -> dict[str, Section]:
    """The sections of the study's recipe, by name, in the order in which they run."""
    steps = {name: str(values.get("uses", name)) for name, values in study.data.items()}
    unknown = next((name for name, step in steps.items() if step not in STEPS), None)
    if unknown:
        raise RecipeError(f"{where}: study.data.{unknown}: no step is called {steps[unknown]!r} ({', '.join(STEPS)})")
    needed = _needed(study, steps, model) if study.only else steps.keys()
    seeded: set[str] = set()
    sections: dict[str, Section] = {}
    for name, values in study.data.items():
        if name not in needed:
            continue
        rest = {key: value for key, value in values.items() if key != "uses"}
        if steps[name] not in UNSEEDED or any(target in seeded for _, target in _pointers(rest, steps[name])):
            seeded.add(name)
        for seed in study.seeds if name in seeded else (None,):
            own = rest if seed is None else _pointed(rest, steps[name], seeded, seed)
            sections[_named(name, seed)] = Section(_named(name, seed), steps[name], own)
    if trained_by(model) in seeded:
        raise RecipeError(f"{where}: model: {model!r} is trained once for each seed; all variants need one start")
    for variant, changes in study.done.items():
        if variant in study.data:
            raise RecipeError(f"{where}: study.variants.{variant}: a section of the data has this name")
        for seed in study.seeds:
            values = _pointed(_merged(study.train, changes), "train", seeded, seed)
            sections[_named(variant, seed)] = Section(_named(variant, seed), "train", values)
    trained = [_named(variant, seed) for variant in study.done for seed in study.seeds]
    models = {study.base: model, **{name: f"step:{name}" for name in trained}}
    sections["evaluate"] = Section("evaluate", "evaluate", {"compare": "first", **study.evaluate, "models": models})
    return sections


def _needed(study: Study, steps: dict[str, str], model: str) -> set[str]:
    """The sections of the data that the trainings, or the model they start from, are made of."""
    trainings = [_merged(study.train, changes) for changes in study.done.values()]
    todo = [trained_by(model), *(name for one in trainings for _, name in _pointers(one, "train"))]
    needed: set[str] = set()
    while todo:
        name = todo.pop()
        if name in steps and name not in needed:
            needed.add(name)
            todo += [target for _, target in _pointers(study.data[name], steps[name])]
    return needed


def _named(name: str, seed: int | None) -> str:
    return name if seed is None else f"{name}-s{seed}"


def _pointed(values: dict[str, Any], step: str, seeded: set[str], seed: int) -> dict[str, Any]:
    """The values with the seed; every section they name, or that the step looks for by default, is that of the seed."""
    fields = {item.name for item in dataclasses.fields(import_module(STEPS[step]).Config)}
    pointed = {**({"seed": seed} if "seed" in fields else {}), **values}
    for name, target in _pointers(values, step):
        if target in seeded:
            pointed[name] = f"{'step:' if name == 'model' else ''}{_named(target, seed)}"
    return pointed


def _pointers(values: dict[str, Any], step: str) -> Iterator[tuple[str, str]]:
    """The fields that name another section, by default or not, each with that section's name."""
    fields = {item.name: item for item in dataclasses.fields(import_module(STEPS[step]).Config)}
    for name in REFERENCES:
        if name in fields and not (name == "pairs" and values.get("demonstrations")):
            yield name, str(values.get(name, fields[name].default))
    section = trained_by(str(values.get("model", "")))
    if section is not None:
        yield "model", section


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `values`, mappings (the objective) key by key."""
    merged = dict(values)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: the study cannot be read ({error}); check the file") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("study"), dict):
        raise RecipeError(f"{path}: a study is a mapping with the keys {', '.join(TOP_LEVEL)}")
    return raw


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
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"override {override!r}: the value is not valid YAML") from error
