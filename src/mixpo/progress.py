"""Progress bars and one-line notes of what a step did (rich, on standard error)."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


@cache
def console() -> Any:
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One line for the user, no markup."""
    console().print(text, markup=False)


def track(items: Iterable[T], what: str, total: int | None = None, done: int = 0) -> Iterator[T]:
    """Yields the items with a bar: how many of `total`, the rate, the time left; `done` were there before."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(), refresh_per_second=4) as progress:
        task = progress.add_task(what.ljust(22), total=total, completed=done)
        for item in items:
            yield item
            progress.advance(task)
