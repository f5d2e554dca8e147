"""What a command found, on standard output: tables for people, or under `--json` one document for programs.

Notes and bars are `progress`'s, on standard error.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from mixpo.config import plain
from mixpo.progress import clean

UNBOUND = 1 << 16
"""Columns of a pipe or a file: nothing is folded."""
NARROWEST = 12
"""Columns that a name keeps in a narrow terminal; a longer one is folded."""
BETWEEN = 3
"""Columns between two columns of a table."""
_document: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table for the terminal. Where it is too wide names fold, then numbers go below, as tables of their own with the
    same names: a number is never cut."""

    title: str
    """Empty: none."""
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: int = 1
    """The first so many columns are text; the others are numbers, whole and to the right."""

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        if self.title:
            yield Text(clean(self.title), style="bold")
        for numbers, width in self._parts(options.max_width):
            yield from console.render(self._part(numbers), options.update(width=max(width, options.max_width)))

    def _parts(self, most: int) -> Iterator[tuple[list[int], int]]:
        """The columns of numbers that stand in a table together, and the fewest columns of the terminal it needs."""
        wide = [max(map(len, (head, *(row[n] for row in self.rows)))) for n, head in enumerate(self.heads)]
        names = sum(min(width, NARROWEST) + BETWEEN for width in wide[: self.text])
        part: list[int] = []
        total = names
        for number in range(self.text, len(self.heads)):
            if part and total + wide[number] + BETWEEN > most:
                yield part, total
                part, total = [], names
            part.append(number)
            total += wide[number] + BETWEEN
        yield part, total

    def _part(self, numbers: Sequence[int]) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_header=any(self.heads))
        columns = (*range(self.text), *numbers)
        for number in columns:
            name = number < self.text
            table.add_column(
                Text(clean(self.heads[number])),
                justify="left" if name else "right",
                no_wrap=not name,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(clean(row[number])) for number in columns))
        return table


def coloured(word: str, colour: str, rest: str) -> Any:
    """A line that begins with a word in a colour."""
    from rich.text import Text

    return Text.assemble((clean(word), colour), clean(rest))


def show(numbers: Mapping[str, Any], shown: Iterable[Any]) -> None:
    """Prints a result, each item a `TextTable` or a text; under `--json`, `numbers` go into the document instead.

    `numbers`: by the name of the section, or of the command.
    """
    if _document is not None:
        _document.update(plain(numbers))
        return
    sys.stdout.write(text(shown))
    sys.stdout.flush()


def text(shown: Iterable[Any]) -> str:
    """The tables and texts as standard output shows them: as wide as its terminal; in a pipe or a file as wide as they
    need, without colours."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else UNBOUND)
    with console.capture() as capture:
        for item in shown:
            if isinstance(item, TextTable):
                console.print(item, crop=False)
            else:
                console.print(clean(item) if isinstance(item, str) else item, markup=False, soft_wrap=True)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    return "".join(f"{line}\n" for line in (lines[1:] if lines and not lines[0] else lines))


def tell(line: str) -> None:
    """A line after a result, such as where its files lie; under `--json` it goes to standard error."""
    sys.stdout.write(f"{clean(line)}\n")
    sys.stdout.flush()


@contextmanager
def document(wanted: bool) -> Iterator[None]:
    """Under `--json` (`wanted`): all that is shown within becomes one JSON document, printed at the end.

    What anything else writes to standard output goes to standard error meanwhile. After an error nothing is printed.
    """
    global _document
    if not wanted:
        yield
        return
    _document = {}
    try:
        with _aside():
            yield
        sys.stdout.write(f"{as_json(_document)}\n")
    finally:
        _document = None


def as_json(value: Any) -> str:
    """The value as JSON text; numbers that JSON does not have (NaN, infinities) are null."""
    return json.dumps(_finite(plain(value)), indent=1, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _aside() -> Iterator[None]:
    """Standard output goes to standard error, that of libraries and of processes started meanwhile, too."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
