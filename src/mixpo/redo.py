"""`mixpo run --redo`: results that were made from something else are set aside, never deleted, and made anew."""

import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixpo import notes
from mixpo.errors import RecipeError, UserError
from mixpo.files import RunFiles
from mixpo.fingerprints import MOVED, OWN, moved_to
from mixpo.progress import say
from mixpo.recipe import Recipe
from mixpo.status import State, Status, dependents
from mixpo.text_files import write_bytes, write_text


def refuse_stale(recipe: Recipe, found: dict[str, Status], chosen: Sequence[str], configs: dict[str, Any]) -> None:
    """Raises UserError, naming the command that makes them anew, when what is run or what it reads is stale."""
    needed = [name for name in found if set(dependents([name], configs)) & set(chosen)]
    stale = {name: found[name] for name in needed if found[name].state is State.STALE}
    if not stale:
        return
    why = "; ".join(f"{name}: {', '.join(status.reasons)}" for name, status in stale.items())
    command = " ".join([recipe.command, *map(shlex.quote, (recipe.given or recipe.path, *recipe.overrides)), "--redo"])
    raise UserError(
        f"{recipe.run} holds results of another recipe ({why}); `{command}` moves them to "
        f"{RunFiles(recipe.run).earlier} and makes them anew, or choose another run folder (`run=...`)"
    )


def redone(names: Sequence[str], found: dict[str, Status], configs: dict[str, Any]) -> list[str]:
    """The sections that `--redo` makes anew: those named and all that read them, or else the stale ones.

    Raises RecipeError for a name that no section has.
    """
    unknown = next((name for name in names if name not in found), None)
    if unknown:
        raise RecipeError(f"--redo {unknown}: the recipe has no such section; it has {', '.join(found)}")
    stale = [name for name, status in found.items() if status.state is State.STALE]
    return dependents(names or stale, configs)


def parted(given: Sequence[str] | None, redo: bool) -> tuple[list[str], list[str] | None]:
    """The overrides, and the sections that `--redo` is for: all that has changed when none is named; None without."""
    sections = [word for word in given or () if "=" not in word] if redo else []
    return [word for word in given or () if word not in sections], sections if redo else None


def set_aside(names: Sequence[str], files: RunFiles) -> None:
    """Moves all that the sections wrote to `earlier/<time>/`.

    Killed in between it goes on the next time (`finish`): where a section goes is noted before anything is moved.
    """
    there = [name for name in names if files.of_section(name)]
    if not there:
        return
    target = files.earlier / time.strftime("%Y-%m-%d-%H%M%S")
    while target.exists():
        target = target.with_name(f"{target.name}-again")
    if files.recipe.exists():
        write_bytes(target / files.recipe.name, files.recipe.read_bytes())
    for name in there:
        note = files.fingerprint(name)
        write_text(note, json.dumps({**(notes.read(note, dict[str, Any]) or {}), MOVED: target.name}))
    finish(files)
    say(f"earlier results of {', '.join(there)} are in {target}")


def finish(files: RunFiles) -> None:
    """Moves what is noted to be moved."""
    for note in sorted(files.fingerprint("x").parent.glob("*.json")):
        moved = moved_to(note) if note.is_file() and OWN.fullmatch(note.stem) else ""
        if not moved:
            continue
        for path in files.of_section(note.stem):
            if path != note:
                _move(path, files.earlier / moved / path.relative_to(files.root))
        _move(note, files.earlier / moved / note.relative_to(files.root))


def _move(path: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    except OSError as error:
        raise UserError(f"{path} cannot be moved to {target} ({error.strerror}); mend that, then run again") from error
