"""Runs the steps of a recipe in order: resolves every section first, then does only what is missing."""

import difflib
import importlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from mixpo import __version__
from mixpo.config import plain
from mixpo.errors import RecipeError, UserError
from mixpo.files import RunFiles, read_json, write_text
from mixpo.lock import held
from mixpo.progress import say
from mixpo.recipe import Recipe, Section
from mixpo.references import trained_by
from mixpo.rounds import with_rounds
from mixpo.side_by_side import side_by_side

STEPS = {
    "questions": "mixpo.questions.collect",
    "demonstrations": "mixpo.questions.demonstrations",
    "base_model": "mixpo.models.base_model",
    "sample": "mixpo.responses.sample",
    "dropout": "mixpo.responses.dropout",
    "verify": "mixpo.verdicts.verify",
    "pair": "mixpo.pairs.build",
    "import": "mixpo.pairs.import_pairs",
    "relabel": "mixpo.verdicts.relabel",
    "train": "mixpo.training.train",
    "evaluate": "mixpo.evaluation.evaluate",
    "best_of": "mixpo.evaluation.best_of",
    "report": "mixpo.report.page",
}
"""What a section may use, and the module with its `Config` and `run(config, files)`."""

SEPARATE = ("sample", "dropout", "train")
"""Steps whose sections never read what another section of the same step writes, but for a training's model."""

TRAINING = ("base_model", "train")
"""Steps that leave a model."""

PROCESSES, RANK = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
"""As torchrun and `accelerate launch` set them."""

RECORDED = ("torch", "transformers", "accelerate", "tokenizers", "Pillow")


def resolve(recipe: Recipe) -> dict[str, Any]:
    """The dataclass of every section. Raises RecipeError before anything has started."""
    configs = {}
    for section in recipe.sections.values():
        if section.step not in STEPS:
            raise RecipeError(
                f"{recipe.at(f'steps.{section.name}')}: no step is called {section.step!r} ({', '.join(STEPS)}); "
                f"a section of another name says which it uses: `{section.name}: {{uses: sample, …}}`"
            )
        configs[section.name] = recipe.config(section, importlib.import_module(STEPS[section.step]).Config)
    return configs


def check_models(recipe: Recipe, configs: dict[str, Any]) -> None:
    """Raises RecipeError for a `step:<section>` that neither the run nor, before it is named, the recipe trains."""
    trained: list[str] = []
    for name, config in configs.items():
        named = {"model": getattr(config, "model", "")}
        named |= {f"models.{key}": model for key, model in getattr(config, "models", {}).items()}
        for field, model in named.items():
            section = trained_by(model)
            if section is None or section in trained:
                continue
            if not (RunFiles(recipe.run).checkpoints(section) / "model").exists():
                near = difflib.get_close_matches(section, trained, 1)
                hint = f"did you mean {near[0]!r}?" if near else "put the section that trains it before this one"
                where = recipe.at(f"steps.{name}.{field}")
                raise RecipeError(f"{where}: no section before this one trains a model called {section!r}; {hint}")
        if recipe.sections[name].step in TRAINING:
            trained.append(name)


def run_recipe(recipe: Recipe, only: str | None = None, cluster: Any = None, jobs: int = 1) -> RunFiles:
    """Does all sections in order, or those of the step (or of the name) `only`.

    `cluster`: a `mixpo.responses.cluster.driver.Cluster` that samples instead of this process. `jobs`: how many
    sections that follow one another, and do not build on one another, are done at a time, and how many models answer
    at a time.
    """
    recipe = with_rounds(recipe, resolve(recipe))
    chosen = {name: s for name, s in recipe.sections.items() if only in (None, name, s.step)}
    if not chosen:
        raise RecipeError(f"{recipe.path}: the recipe has no section that uses the step {only!r}")
    if PROCESSES > 1 and any(section.step != "train" for section in chosen.values()):
        raise UserError("with several processes only `mixpo train` runs; do the recipe's other steps without torchrun")
    configs = resolve(recipe)
    check_models(recipe, configs)
    files = RunFiles(recipe.run)
    with held(files.lock) if RANK == 0 else nullcontext():
        _save_recipe(recipe, configs, files)
        for names in _together(chosen) if jobs > 1 else [[name] for name in chosen]:
            if len(names) > 1:
                work = {name: (_runner(chosen[name].step, cluster), (configs[name], files)) for name in names}
                for name, seconds in side_by_side(work, jobs):
                    _add_time(files, name, seconds)
                continue
            (name,) = names
            started = time.monotonic()
            if jobs > 1 and chosen[name].step == "evaluate":
                parts = importlib.import_module(STEPS["evaluate"]).parts(configs[name], files)
                for part, seconds in side_by_side(parts, jobs):
                    say(f"{part}: {seconds:.1f} s")
            _runner(chosen[name].step, cluster)(configs[name], files)
            if RANK == 0:
                _add_time(files, name, time.monotonic() - started)
    return files


def _together(sections: dict[str, Section]) -> list[list[str]]:
    """The sections' names in order; those in succession that have a model work, and use the same step, stand together.

    Not with one whose model they start from.
    """
    groups: list[list[str]] = []
    for name, section in sections.items():
        start = trained_by(str(section.values.get("model", "")))
        last = groups[-1] if groups else []
        if last and section.step in SEPARATE and section.step == sections[last[0]].step and start not in last:
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
    if step != "sample":
        return run
    from mixpo.verdicts.verify import outcome

    if cluster is None:
        return partial(run, judge=outcome)
    from mixpo.responses.cluster import driver

    return partial(driver.run, cluster=cluster, judge=outcome)


def _save_recipe(recipe: Recipe, configs: dict[str, Any], files: RunFiles) -> None:
    resolved = {
        "name": recipe.name,
        "run": recipe.run,
        "steps": {name: {"uses": recipe.sections[name].step, **plain(config)} for name, config in configs.items()},
    }
    if files.recipe.exists():
        saved = yaml.safe_load(files.recipe.read_text(encoding="utf-8"))
        changed = _first_difference(saved.get("steps", {}), resolved["steps"], "steps")
        if changed:
            raise UserError(
                f"{files.root} was begun with another recipe ({changed}); "
                "choose another run folder (`run=...`) or delete this one"
            )
        return
    resolved["versions"] = versions()
    write_text(files.recipe, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))


def _first_difference(saved: Any, new: Any, where: str) -> str | None:
    if isinstance(saved, dict) and isinstance(new, dict):
        for key in [*saved, *(key for key in new if key not in saved)]:
            found = _first_difference(saved.get(key), new.get(key), f"{where}.{key}")
            if found:
                return found
        return None
    return None if saved == new else f"{where} was {saved!r} and is now {new!r}"


def _add_time(files: RunFiles, name: str, seconds: float) -> None:
    path = files.json(f"timings/{name}")
    before = read_json(path) or {"seconds": 0.0, "runs": 0}
    write_text(path, f'{{"seconds": {before["seconds"] + seconds:.3f}, "runs": {before["runs"] + 1}}}\n')
    say(f"{name}: {seconds:.1f} s")


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
