"""The costs of a recipe on the screen."""

import shutil
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.dry_run.costs import Ahead, Cost
from mixpo.dry_run.steps import costs
from mixpo.files import RunFiles
from mixpo.plan.ahead import memory_of
from mixpo.plan.changes import gib
from mixpo.plan.estimate import WRITING
from mixpo.plan.machines import EFFICIENCY, Machine
from mixpo.status import Status


def show_costs(configs: dict[str, Any], found: dict[str, Status], files: RunFiles) -> None:
    """Prints a table on standard output: section, what it would do, time, memory; then what that rests on."""
    ahead = Ahead(configs, found, files)
    each = dict(costs(ahead))
    rows = [
        (name, cost.work, _duration(cost.seconds), gib(cost.memory) if cost.memory else "")
        for name, cost in each.items()
    ]
    heads = ("section", "would do", "at most about", "GiB")
    below = _below(ahead, list(each.values()))
    numbers = {
        "costs": {
            name: {"work": cost.work, "seconds": cost.seconds, "memory_bytes": cost.memory, "disk_bytes": cost.disk}
            for name, cost in each.items()
        },
        "assumed": list(ahead.notes),
        "warnings": list(ahead.warnings),
    }
    output.show({"dry_run": numbers}, [output.TextTable("", heads, rows, text=2), *below])


def together(configs: dict[str, Any], found: dict[str, Status], files: RunFiles) -> str:
    """In a few words, what all sections take: "it takes at most about 5 min on this machine"."""
    return f"it takes {_all([cost for _, cost in costs(Ahead(configs, found, files))])} on this machine"


def _all(each: list[Cost]) -> str:
    known = sum(cost.seconds for cost in each if cost.seconds is not None)
    if not known and any(cost.seconds is None for cost in each):
        return "a time that cannot be told"
    more = ", and what is not known (?)" if any(cost.seconds is None for cost in each) else ""
    return f"at most about {_duration(known) or '1 s'}{more}"


def _below(ahead: Ahead, each: list[Cost]) -> list[str]:
    lines = ["", f"together: {_all(each)}"]
    if any(cost.memory for cost in each):
        machine = ahead.machine
        lines.append(f"on {_named(machine)}")
        have, most = memory_of(machine), max(cost.memory for cost in each)
        if have is not None and most > have and not any("does not fit" in warning for warning in ahead.warnings):
            ahead.warnings[f"{gib(most)} GiB are needed, and there are {gib(have)}"] = None
    disk = sum(cost.disk for cost in each)
    if disk:
        free = shutil.disk_usage(_existing(ahead.files.root)).free
        lines.append(f"disk: at most about {gib(disk)} GiB in {ahead.files.root}, of {gib(free)} free")
        if disk > free:
            ahead.warnings["the disk may be too small"] = None
    lines += [f"assumed: {note}" for note in ahead.notes]
    return lines + [f"WARNING: {warning}" for warning in ahead.warnings]


def _named(machine: Machine) -> str:
    if machine.memory is None:
        speed = machine.peaks["float32"] / 1e9
        shares = f"{machine.efficiency:.0%} of it in training and {WRITING[True]:.0%} in writing are assumed"
        return f"this machine's CPU, which does {speed:,.0f} GFLOP/s in matrix products; {shares}"
    return f"{machine.name}, of whose peak {EFFICIENCY:.0%} in training and {WRITING[False]:.0%} in writing are assumed"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{max(1, round(seconds))} s" if seconds else ""
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
