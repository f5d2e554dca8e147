"""`mixpo doctor`: what this machine has, whether every optional part works, and what to do about what does not."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mixpo import output
from mixpo.names import at_home
from mixpo.pipeline import versions

GIB = 1 << 30
LOW_DISK = 10 * GIB
LOW_MEMORY = 4 * GIB
IMPORT_LIMIT = 180
"""Seconds for importing one library: some compile on their first import."""
DISTRIBUTION = "mixpo"
TOOLS = {"bench", "dev", "docs"}
"""Extras for work on mixpo itself: their absence is nothing to mend."""


class Health(StrEnum):
    """How one thing is."""

    OK = "ok"
    ABSENT = "absent"
    """An optional part that is not installed."""
    LOW = "low"
    """There, but so little that a run may end early."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    state: Health
    detail: str
    advice: str = ""
    """What to do about it, for whatever is not OK."""


def examine(folder: Path) -> Iterator[Finding]:
    """Every finding, as it is made; `folder` is where runs would be written."""
    found = versions()
    yield Finding("versions", Health.OK, ", ".join(f"{name} {version}" for name, version in found.items()))
    yield from _devices()
    yield _memory()
    yield disk("disk here", folder)
    cache = at_home(os.environ.get("HF_HOME", "~/.cache/huggingface"))
    yield disk("disk for models", cache)
    for extra, requirements in extras().items():
        yield from (part(extra, requirement) for requirement in requirements)


def _devices() -> Iterator[Finding]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("processor", Health.OK, f"{cores} cores, torch uses {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(number)
            detail = f"{torch.cuda.get_device_name(number)}, {gib(free)} free of {gib(total)}"
            yield Finding(f"GPU {number}", Health.OK, detail)
    elif torch.backends.mps.is_available():
        yield Finding("GPU", Health.OK, "Apple (mps)")
    elif shutil.which("nvidia-smi"):
        advice = "install a torch build for this driver's CUDA version (pytorch.org, Get Started)"
        yield Finding("GPU", Health.BROKEN, "there is a driver, but torch finds no device", advice)
    else:
        advice = "small models train on the processor; 1B and above want a GPU"
        yield Finding("GPU", Health.ABSENT, "none; everything runs on the processor", advice)


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        free, total = sizes["MemAvailable"], sizes["MemTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return Finding("memory", Health.OK, "cannot be told on this system")
    detail = f"{gib(free)} free of {gib(total)}"
    if free < LOW_MEMORY:
        return Finding("memory", Health.LOW, detail, "close other programs; sample and train with smaller batches")
    return Finding("memory", Health.OK, detail)


def disk(name: str, folder: Path) -> Finding:
    """Free space where `folder` is or would be made."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free
    detail = f"{gib(free)} free in {folder}"
    if not os.access(place, os.W_OK):
        return Finding(name, Health.BROKEN, f"{place} cannot be written", "choose another folder or mend its rights")
    if free < LOW_DISK:
        return Finding(name, Health.LOW, detail, "make room: a checkpoint with its optimizer is 4 times the model")
    return Finding(name, Health.OK, detail)


def extras() -> dict[str, list[str]]:
    """Extra -> the distributions it asks for beyond the core, from the installed package's own metadata."""
    found: dict[str, list[str]] = {}
    for line in importlib.metadata.requires(DISTRIBUTION) or []:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", line)
        if name and extra and extra[1] not in TOOLS:
            found.setdefault(extra[1], []).append(name[0])
    return dict(sorted(found.items()))


def part(extra: str, distribution: str) -> Finding:
    """Whether one library of an extra is there and can be imported, in a process of its own: some crash."""
    name = f"{extra}: {distribution}"
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, Health.ABSENT, "not installed", f"pip install 'mixpo[{extra}]'")
    problem = import_problem(module_of(distribution))
    if problem:
        advice = f"pip install --force-reinstall {distribution}=={version}, or another version that fits torch"
        return Finding(name, Health.BROKEN, f"{version}, {problem}", advice)
    return Finding(name, Health.OK, version)


def module_of(distribution: str) -> str:
    """The module that a distribution is imported as."""
    modules = importlib.metadata.packages_distributions()
    wanted = distribution.lower().replace("_", "-")
    names = [module for module, owners in modules.items() if wanted in (o.lower().replace("_", "-") for o in owners)]
    public = [module for module in names if not module.startswith("_")]
    same = distribution.replace("-", "_").lower()
    return next((module for module in public if module.lower() == same), min(public, default=same, key=len))


def import_problem(module: str) -> str:
    """What importing it says when it fails; empty when it works."""
    code = f"import importlib; importlib.import_module({module!r})"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=IMPORT_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"importing {module} takes more than {IMPORT_LIMIT} s"
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()
    return f"importing {module} fails: {said[-1] if said else f'exit status {done.returncode}'}"


def gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"


def doctor(folder: Path) -> bool:
    """Prints the findings as they come; whether nothing is broken."""
    colours = {Health.OK: "green", Health.ABSENT: "bright_black", Health.LOW: "yellow", Health.BROKEN: "red"}
    found = []
    for finding in examine(folder):
        found.append(finding)
        lines = [output.coloured(f"{finding.state:<7}", colours[finding.state], f"{finding.name}: {finding.detail}")]
        if finding.advice:
            lines.append(f"       -> {finding.advice}")
        output.show({"doctor": found}, lines)
    return all(finding.state is not Health.BROKEN for finding in found)
