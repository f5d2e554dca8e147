"""How far a run is: every section done, begun, missing, or stale because something that decides it has changed."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from mixpo import notes, output
from mixpo.files import RunFiles
from mixpo.fingerprints import UNKNOWN, Fingerprint, changes, fingerprint, grown, load, read
from mixpo.recipe import Recipe
from mixpo.references import references
from mixpo.text_files import count_lines


class State(StrEnum):
    """Of one section."""

    DONE = "done"
    PARTLY = "partly"
    """Begun: a run goes on where it stopped."""
    STALE = "stale"
    """Made from something else than what the recipe says now."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Status:
    """One section's."""

    name: str
    step: str
    state: State
    now: Fingerprint
    """As it would be made now, or as it was made where that is no other."""
    reasons: list[str] = field(default_factory=list)
    """Why it is stale: its own changes, then the stale sections that it reads."""


def statuses(recipe: Recipe, configs: dict[str, Any], files: RunFiles) -> dict[str, Status]:
    """Every section's status, in the order of the recipe; nothing is written."""
    found: dict[str, Status] = {}
    digests = _left(files, recipe)
    for name, config in configs.items():
        step = recipe.sections[name].step
        before = load(name, type(config), files)
        now = fingerprint(step, config, digests, before)
        if before is None:
            status = Status(name, step, State.MISSING, now)
        elif reasons := _reasons(before, now, config, found):
            status = Status(name, step, State.STALE, now, reasons)
        else:
            kept, more = grown(before, now, config)
            # It keeps its digest: a newer version with one more field would give it another.
            kept = replace(kept, digest=before.digest, finished=before.finished and not more)
            status = Status(name, step, State.DONE if kept.finished else State.PARTLY, kept)
        found[name] = status
        digests[name] = status.now.digest
    return found


def _left(files: RunFiles, recipe: Recipe) -> dict[str, str]:
    """Digests of sections that only the run folder has."""
    saved = {path.stem: read(path) for path in files.fingerprint("x").parent.glob("*.json") if path.is_file()}
    return {name: found.digest for name, found in saved.items() if found and name not in recipe.sections}


def _reasons(before: Fingerprint, now: Fingerprint, config: Any, found: dict[str, Status]) -> list[str]:
    if before is UNKNOWN:
        return ["what lies there was made by another recipe or command"]
    if before.step != now.step:
        return [f"it used {before.step} and now uses {now.step}"]
    reasons = changes(before, now, config)
    for reference in references(vars(config)):
        field, _, model = reference.field.partition(".")
        if model and model not in before.values.get(field, {}):
            continue  # what an evaluation has been given since: it is answered now
        state = found[reference.section].state if reference.section in found else State.DONE
        if state in (State.STALE, State.MISSING):
            reasons.append(f"{reference.section} is {'missing' if state is State.MISSING else 'made anew'}")
        elif before.reads.get(reference.field, "") not in ("", now.reads[reference.field]):
            reasons.append(f"{reference.section} has changed")  # it was made anew since, alone
    return list(dict.fromkeys(reasons))


def dependents(names: Iterable[str], configs: dict[str, Any]) -> list[str]:
    """The sections and all that read them, directly or not, in the order of the recipe."""
    found = set(names)
    for name, config in configs.items():
        if any(reference.section in found for reference in references(vars(config))):
            found.add(name)
    return [name for name in configs if name in found]


def show(found: dict[str, Status], files: RunFiles) -> None:
    """Prints a table on standard output: section, state, where its records lie, how many, and seconds."""
    rows, numbers = [], {}
    for name, status in found.items():
        timing = notes.read(files.json(f"timings/{name}"), notes.Timing)
        seconds = timing.seconds if timing else None
        because = f" because {'; '.join(status.reasons)}" if status.reasons else ""
        records, kind, place = _made(name, files)
        rows.append(
            (
                name if name == status.step else f"{name} ({status.step})",
                f"{status.state}{because}",
                "" if place is None else str(place),
                "" if records is None else f"{records:,} {kind}",
                "" if seconds is None else f"{seconds:,.1f}",
            )
        )
        numbers[name] = {
            "step": status.step, "state": status.state, "reasons": status.reasons, "records": records, "kind": kind,
            "seconds": seconds, "where": place,
        }  # fmt: skip
    output.show(numbers, [output.TextTable("", ("section", "state", "where", "records", "seconds"), rows, text=3)])


COUNTED = ("responses", "continuations", "verdicts", "pairs", "demonstrations", "questions")


def _made(name: str, files: RunFiles) -> tuple[int | None, str, Path | None]:
    """What a section has written: how many of what, and the folder."""
    for kind in COUNTED:
        folder = files.root / kind / name
        if folder.is_dir():
            return _lines(folder, "*.jsonl"), kind, folder  # what was paid for lies in a journal first
    trained, inner = files.checkpoints(name), files.evaluation(name)
    if trained.is_dir():
        return _lines(trained, "log.jsonl") or None, "lines of log", trained
    if inner.root.is_dir():
        return _lines(inner.root, "responses/*/*.jsonl"), "responses", inner.root
    return None, "", files.report if files.report.exists() and name == "report" else None


def _lines(folder: Path, files: str) -> int:
    return sum(map(count_lines, folder.glob(files)))
