"""Progress bars and one-line notes of what a step did (rich, on standard error)."""

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

from mixpo.errors import UserError

T = TypeVar("T")
VERBOSITY = "MIXPO_VERBOSITY"
"""In the environment, so that processes which are started heed it, too: "quiet", "verbose", or nothing."""
LEVELS = {"quiet": logging.ERROR, "verbose": logging.INFO}
QUIETED = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
"""What has other libraries draw no bars: transformers heeds the first as well."""
LABEL = 22
"""Characters of a bar's name, so that bars stand below each other."""
PAUSE = 0.1
"""Seconds between two movements of a bar: one for each item would cost more than many an item."""
_hidden = False


@cache
def console() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False)


def speak(verbose: bool, quiet: bool) -> None:
    """Has this process, and those that it starts, say more or less; with neither, as before. Raises UserError for both.

    Quiet: neither bars nor notes nor warnings. Call it before other libraries are imported, which draw bars, too.
    """
    if verbose and quiet:
        raise UserError("--verbose and --quiet contradict each other; leave one out")
    if quiet:
        os.environ.update(QUIETED)
    if verbose or quiet:
        os.environ[VERBOSITY] = "quiet" if quiet else "verbose"
        show_warnings()


def quiet() -> bool:
    return os.environ.get(VERBOSITY) == "quiet"


def clean(text: str) -> str:
    """Text of users and models without what moves the cursor or changes colours."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def say(text: str) -> None:
    """One line for the user, no markup; only a terminal folds it, between words."""
    if not quiet():
        console().print(clean(text), markup=False, soft_wrap=not console().is_terminal)


def complain(text: str) -> None:
    """What ends a command, on standard error, whatever is quiet."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()


class CleanLines(logging.Formatter):
    """What is logged may quote data, too."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


MEANINGLESS = {
    "bitsandbytes.backends.cpu.ops": "Failed to load CPU gemm_4bit",
    "DeepSpeed": "Setting accelerator to CPU",
}
"""Loggers of libraries, and how what they say begins, when they are merely imported, of things that nobody asked for: a
faster kernel for 4-bit weights on a processor, a GPU."""


def _has_meaning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(MEANINGLESS[record.name])


for _name in MEANINGLESS:  # here: a process that is spawned imports libraries before it can be told anything
    logging.getLogger(_name).addFilter(_has_meaning)


def show_warnings(level: int | str | None = None) -> None:
    """What is logged from this level on, one line each on standard error; None: warnings, or as `speak` was told."""
    handler = logging.StreamHandler()
    handler.setFormatter(CleanLines("%(levelname)s: %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger().setLevel(LEVELS.get(os.environ.get(VERBOSITY, ""), logging.WARNING) if level is None else level)


def be_silent() -> None:
    """Neither bars nor notes nor warnings from this process: another one does the same and says it."""
    console().quiet = True
    show_warnings(logging.ERROR)
    warnings.simplefilter("ignore")


def hide_bars() -> None:
    """No bars from this process: several that draw on one terminal paint over each other."""
    global _hidden
    _hidden = True


def bar(*columns: Any, passing: bool = False) -> Any:
    """A bar (`rich.progress.Progress`): how many of how many, `columns` of one's own, the time spent and left.

    `passing`: it is gone when it is done.
    """
    from rich import progress as rich

    return rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        *columns,
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        console=console(),
        refresh_per_second=4,
        disable=_hidden or quiet(),
        transient=passing,
    )


def track(
    items: Iterable[T], what: str, total: int | None = None, done: int = 0, *, passing: bool = False
) -> Iterator[T]:
    """Yields the items with a bar: how many of `total`, the rate, the time left; `done` were there before."""
    with bar(passing=passing) as progress:
        task = progress.add_task(clean(what).ljust(LABEL), total=total, completed=done)
        shown, count = time.monotonic(), 0
        for item in items:
            yield item
            count += 1
            if time.monotonic() - shown > PAUSE:
                progress.advance(task, count)
                shown, count = time.monotonic(), 0
        progress.advance(task, count)
        if total is None:  # now it is known
            progress.update(task, total=progress.tasks[0].completed)
