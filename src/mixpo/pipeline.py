"""Runs the steps of a recipe in order: resolves every section first, then does only what is missing."""

import importlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from mixpo import __version__, notes
from mixpo.config import plain
from mixpo.devices import limited
from mixpo.errors import FieldError, NoPairs, RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.fingerprints import load, named_files, named_languages, named_models, save
from mixpo.lock import held
from mixpo.out_files import refuse_others_in
from mixpo.progress import be_silent, say
from mixpo.recipe import Recipe, Section
from mixpo.redo import finish, redone, refuse_stale, set_aside
from mixpo.references import references
from mixpo.report.numbers import duration
from mixpo.resolve import STEPS, resolve, unread
from mixpo.rounds import with_rounds
from mixpo.side_by_side import side_by_side
from mixpo.status import State, Status, statuses
from mixpo.text_files import write_text

SIDE_BY_SIDE = ("sample", "dropout", "train")
"""Steps whose sections have a model work, in a process of its own where several may."""

PROCESSES, RANK = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
"""As torchrun and `accelerate launch` set them."""

FORCE = "MIXPO_FORCE"
"""In the environment: a training is begun even where the plan says that it cannot fit. The processes that are started
for it see it, too."""

SHORT = 1.0
"""Seconds below which a section's time is not worth a word."""

RECORDED = ("torch", "transformers", "accelerate", "tokenizers", "Pillow")


def planned(recipe: Recipe) -> tuple[Recipe, dict[str, Any]]:
    """The recipe with the sections of all rounds, and every section's config; says what nothing reads."""
    configs = resolve(recipe)
    expanded = with_rounds(recipe, configs)
    if expanded is not recipe:
        recipe, configs = expanded, resolve(expanded)
    for sentence in unread(recipe, configs):
        say(f"note: {sentence}")
    return recipe, configs


def run_recipe(
    recipe: Recipe,
    only: str | None = None,
    cluster: Any = None,
    jobs: int = 1,
    redo: Sequence[str] | None = None,
    gpus: int | None = None,
) -> RunFiles:
    """Does all sections in order, or those of the step (or of the name) `only`.

    `cluster`: a `mixpo.responses.cluster.driver.Cluster` that samples instead of this process. `jobs`: how many
    sections that follow one another, and do not build on one another, are done at a time, and how many models answer
    at a time. `redo`: the sections that are made anew with all that read them, empty: those whose recipe, data or
    sources have changed; None: then UserError says so. `gpus`: how many of this machine's GPUs train and let models
    write; None: all. With several, they do so in processes of their own; the records are the same.
    """
    with limited(gpus):
        return _run_recipe(recipe, only, cluster, jobs, redo, gpus)


def _run_recipe(
    recipe: Recipe, only: str | None, cluster: Any, jobs: int, redo: Sequence[str] | None, gpus: int | None
) -> RunFiles:
    recipe, configs = planned(recipe)
    chosen = {name: s for name, s in recipe.sections.items() if only in (None, name, s.step)}
    if not chosen:
        raise RecipeError(f"{recipe.path}: the recipe has no section that uses the step {only!r}")
    if gpus is not None:
        _refuse_uneven(recipe, {name: configs[name] for name, one in chosen.items() if one.step == "train"}, gpus)
    if PROCESSES > 1 and any(section.step != "train" for section in chosen.values()):
        raise UserError("with several processes only `mixpo train` runs; do the recipe's other steps without torchrun")
    if PROCESSES > 1 and redo is not None:
        raise UserError("--redo sets results aside, which one process does: run it once without torchrun")
    if RANK:
        be_silent()
    files = RunFiles(recipe.run)
    with held(files.lock) if RANK == 0 else nullcontext():
        if RANK == 0:
            refuse_others_in(files.root)
            finish(files)
        found = statuses(recipe, configs, files)
        if redo is not None:
            anew = redone(redo, found, configs)
            left = {name: status for name, status in found.items() if name not in anew}
            refuse_stale(recipe, left, list(chosen), configs)
            set_aside(anew, files)
            found = statuses(recipe, configs, files)
        refuse_stale(recipe, found, list(chosen), configs)
        _refuse_missing(recipe, configs, found, list(chosen))
        for name in chosen if RANK == 0 else ():
            if found[name].state is not State.DONE:
                _refuse_absent(recipe, name, configs[name])
        if RANK == 0:
            _begin(recipe, configs, found, chosen, files)
        took: dict[str, float] = {}
        for names in _together(chosen, configs) if jobs > 1 else [[name] for name in chosen]:
            for name in names if RANK == 0 else ():
                save(name, found[name].now, files)
            try:
                took |= _do(names, chosen, configs, files, cluster, jobs)
            except NoPairs as error:
                raise _with_report(error, chosen, configs, files) from error
            for name in names if RANK == 0 else ():
                save(name, replace(found[name].now, finished=True), files)
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in took.items() if seconds >= SHORT)
        say(f"time: {duration(sum(took.values()))}" + (f" ({parts})" if len(took) > 1 and parts else ""))
    return files


def _with_report(error: NoPairs, chosen: dict[str, Section], configs: dict[str, Any], files: RunFiles) -> UserError:
    """The error, once the recipe's report tells what was found up to there."""
    reports = [name for name, section in chosen.items() if section.step == "report"]
    for name in reports:
        _runner("report", None)(configs[name], files)
    found = f"{files.report} says what was found, `mixpo view {files.root}` shows every response"
    return UserError(f"{error}; {found}") if reports else error


def _refuse_missing(recipe: Recipe, configs: dict[str, Any], found: dict[str, Status], chosen: Sequence[str]) -> None:
    """Raises UserError when a section is run alone, and one that it reads has not been."""
    for name in chosen:
        for reference in references(vars(configs[name])):
            other = reference.section
            there = RunFiles(recipe.run).sections(reference.kind.folder)
            if other in chosen or other in there or (other in found and found[other].state is not State.MISSING):
                continue
            command = recipe.sections[other].step.replace("_", "-")
            raise UserError(
                f"{name} reads {reference.kind} of {other!r}, which has not run; run all steps with "
                f"`mixpo run {recipe.path}`, or `mixpo {command} {recipe.path}` first"
            )


def _refuse_uneven(recipe: Recipe, trainings: dict[str, Any], gpus: int) -> None:
    """Raises RecipeError before anything begins when a training cannot be shared out among so many GPUs."""
    from mixpo.training.launch import check

    for name, config in trainings.items():
        try:
            check(config, gpus)
        except FieldError as error:
            raise RecipeError(f"{recipe.at(f'steps.{name}.{error.place}')}: {error.sentence}") from error


def _refuse_absent(recipe: Recipe, name: str, config: Any) -> None:
    """Raises RecipeError for a file or a model that the section names and that is not there."""
    from mixpo.models.found import found, found_language
    from mixpo.questions.source import data_path

    values = plain(config)
    looks: list[tuple[Callable[[str], Any], Iterator[tuple[str, str]]]]
    looks = [
        (data_path, named_files(values)),
        (found, named_models(values)),
        (found_language, named_languages(values)),
    ]
    for look, place, given in ((look, *each) for look, named in looks for each in named):
        try:
            look(given)
        except UserError as error:
            raise RecipeError(f"{recipe.at(f'steps.{name}.{place}')}: {error}") from error


def _do(
    names: list[str], chosen: dict[str, Section], configs: dict[str, Any], files: RunFiles, cluster: Any, jobs: int
) -> dict[str, float]:
    """One section, or several side by side; the seconds that each took."""
    took: dict[str, float] = {}
    if len(names) > 1:
        work = {name: (_runner(chosen[name].step, cluster), (configs[name], files)) for name in names}
        for name, seconds in side_by_side(work, jobs):
            _add_time(files, name, seconds)
            say(f"{name}: {duration(seconds)}")  # in the order in which they are done
            took[name] = seconds
        return took
    (name,) = names
    started = time.monotonic()
    if jobs > 1 and chosen[name].step == "evaluate":
        parts = importlib.import_module(STEPS["evaluate"]).parts(configs[name], files)
        for part, seconds in side_by_side(parts, jobs):
            say(f"{part}: {seconds:.1f} s")
    _runner(chosen[name].step, cluster)(configs[name], files)
    took[name] = time.monotonic() - started
    if RANK == 0:
        _add_time(files, name, took[name])
    return took


def _together(sections: dict[str, Section], configs: dict[str, Any]) -> list[list[str]]:
    """The sections' names in order; those in succession that have a model work, and use the same step, stand together.

    Not with one that they read, or whose model they start from.
    """
    groups: list[list[str]] = []
    for name, section in sections.items():
        last = groups[-1] if groups else []
        same = last and section.step in SIDE_BY_SIDE and section.step == sections[last[0]].step
        if same and not any(reference.section in last for reference in references(vars(configs[name]))):
            last.append(name)
        else:
            groups.append([name])
    return groups


def _runner(step: str, cluster: Any) -> Callable[[Any, RunFiles], None]:
    """The step's `run`, with what it needs of another one: steps never import each other, so it is handed over here."""
    run = importlib.import_module(STEPS[step]).run
    if step == "questions":
        from mixpo.verdicts.truths import unanswerable

        return partial(run, doubt=unanswerable)
    if step == "train":
        from mixpo.plan.fits import refuse_what_cannot_fit
        from mixpo.training import launch

        return launch.run if FORCE in os.environ else partial(launch.run, fits=refuse_what_cannot_fit)
    if step != "sample":
        return run
    from mixpo.verdicts.verify import outcome

    if cluster is None:
        return partial(run, judge=outcome)
    from mixpo.responses.cluster import driver

    return partial(driver.run, cluster=cluster, judge=outcome)


def _begin(
    recipe: Recipe, configs: dict[str, Any], found: dict[str, Status], chosen: dict[str, Section], files: RunFiles
) -> None:
    """Saves the recipe; before it, what only an older version's recipe tells of the sections that it made."""
    for name, status in found.items():
        if status.state in (State.DONE, State.PARTLY):
            save(name, status.now, files)
    old = files.saved_recipe().get("steps", {})
    for name in old.keys() - configs.keys():
        step = old[name].get("uses") if isinstance(old[name], dict) else None
        if step in STEPS and not files.fingerprint(name).exists():
            made = load(name, importlib.import_module(STEPS[step]).Config, files)
            if made is not None:
                save(name, made, files)
    steps = {name: {"uses": recipe.sections[name].step, **plain(config)} for name, config in configs.items()}
    # A section that is not run now stands as it was last run.
    steps = {name: old[name] if name in old and name not in chosen else values for name, values in steps.items()}
    if steps != old:
        resolved = {"name": recipe.name, "run": recipe.run, "steps": steps, "versions": versions()}
        write_text(files.recipe, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


def _add_time(files: RunFiles, name: str, seconds: float) -> None:
    path = files.json(f"timings/{name}")
    before = notes.read(path, notes.Timing) or notes.Timing()
    write_text(path, f'{{"seconds": {before.seconds + seconds:.3f}, "runs": {before.runs + 1}}}\n')


def versions() -> dict[str, str]:
    """Versions of what produced a run, and the git commit of mixpo's own checkout where it runs from one."""
    found = {"mixpo": __version__, "python": platform.python_version()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    if shutil.which("git") is None:
        return found
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    if commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found
