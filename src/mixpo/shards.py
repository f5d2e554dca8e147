"""Records of one type in the JSON-lines files of a folder: what every step reads and writes.

Appending is safe against SIGKILL at any moment: a record is one line, written whole and flushed; a torn last line is
cut off before the next append and its record, being absent, is made again. Reading skips repeated ids (the first
stands) and lines that are no JSON (with a warning); it ends with a sentence at lines that have changed since they were
written (`mixpo.checksums`), and at a record that this version does not know.
"""

import json
import logging
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from mixpo.checksums import seal, section_of, whole_lines
from mixpo.errors import DataError
from mixpo.ids import Ids
from mixpo.json_lines import from_json, to_json
from mixpo.records import Dropped
from mixpo.removing import refuse_link, refuse_other, remove
from mixpo.text_files import appended, writing

log = logging.getLogger(__name__)
T = TypeVar("T")
S = TypeVar("S")
SHARD_RECORDS = 50_000
WHOLE = ".whole"
"""How the name of a folder ends that is about to take another's place (`Shards.replace`)."""


class Shards(typing.Generic[T]):
    """The JSON-lines files of one folder, all holding records of one type."""

    def __init__(self, folder: Path, record_type: type[T]):
        self.folder = folder
        self.record_type = record_type

    def paths(self) -> list[Path]:
        return sorted((self._whole if self._whole.is_dir() else self.folder).glob("part-*.jsonl"))

    def __iter__(self) -> Iterator[T]:
        return self._unseen(Ids())

    def ids(self) -> Ids:
        """Ids of all whole records: what a rerun does not make again."""
        seen = Ids()
        deque(self._unseen(seen), maxlen=0)
        return seen

    def _unseen(self, seen: Ids) -> Iterator[T]:
        """The records that `seen` does not have; it gets them."""
        for path in self.paths():
            for record in read_records(path, self.record_type):
                if seen.add(_key(record)):
                    yield record

    def append(self, records: Iterable[T]) -> int:
        """Adds records at the end, each flushed as soon as it is there; returns how many.

        Also without any: then the files are what an uninterrupted run leaves, one at least, with its checksums and
        without a torn line. Raises UserError when the disk is full or the folder cannot be written; what was appended
        stays.
        """
        count = 0
        self.settle()
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            path = next(reversed(self.paths()), self.folder / "part-00000.jsonl")
            refuse_link(path)
            file = appended(path)
            left = SHARD_RECORDS - seal(path)
        try:
            for record in records:
                # Only the writing is guarded: an error of what makes the records keeps its own cause.
                with writing(self.folder):
                    if left <= 0:
                        file.close()
                        seal(path)
                        path, left = self._next_shard(path), SHARD_RECORDS
                        file = appended(path)
                    file.write(f"{to_json(record)}\n".encode())
                    file.flush()
                left -= 1
                count += 1
        finally:
            with writing(self.folder):
                file.close()
        if count:
            seal(path)
        return count

    def replace(self, records: Iterable[T]) -> int:
        """Writes the folder anew, in one step as seen from outside. Raises UserError where it holds anything else."""
        staged = Shards(self.folder.with_name(self.folder.name + ".staged"), self.record_type)
        refuse_other(self.folder)
        self.settle()
        with writing(staged.folder):
            remove(staged.folder)
            staged.folder.mkdir(parents=True)
        count = staged.append(records)
        with writing(self.folder):
            staged.folder.rename(self._whole)
        self.settle()
        return count

    @property
    def _whole(self) -> Path:
        """Where what `replace` has written lies while what it replaces goes: from then on it counts."""
        return self.folder.with_name(self.folder.name + WHOLE)

    def settle(self) -> None:
        """Ends what a `replace` had to do when its process was killed."""
        if self._whole.is_dir():
            refuse_link(self._whole)
            with writing(self.folder):
                remove(self.folder)
                self._whole.rename(self.folder)

    def _next_shard(self, path: Path) -> Path:
        return self.folder / f"part-{int(path.stem.split('-')[1]) + 1:05d}.jsonl"


def read_records(path: Path, record_type: type[T]) -> Iterator[T]:
    """The records of one file. Lines that are no JSON are skipped, with one warning; raises DataError for lines that
    have changed since they were written, and for a record with what this version does not know."""
    damaged = first = 0
    for number, line in whole_lines(path):
        try:
            yield from_json(record_type, line)
        except ValueError as error:
            if _is_object(line):
                raise DataError(
                    f"{path}:{number} is no {record_type.__name__} of this mixpo ({error}): a newer version wrote it, "
                    f"or somebody else; go on with that version, or make it anew with `--redo {section_of(path)}`"
                ) from error
            damaged, first = damaged + 1, first or number
    if damaged:
        _warn(path, record_type.__name__, damaged, first)


def _is_object(line: bytes) -> bool:
    """Whether a line holds a whole JSON object: it was written so, and is not damaged."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


@cache
def _warn(path: Path, what: str, damaged: int, first: int) -> None:
    """Once, however often the file is read."""
    lines = "line is" if damaged == 1 else "lines are"
    log.warning(
        "%s:%d is damaged (no JSON; %d %s); what a %s there said is made again, and paid again if a server made it",
        *(path, first, damaged, lines, what),
    )


@contextmanager
def appending(shards: Shards[T]) -> Iterator[Callable[[T], T]]:
    """A function that adds a record from any thread, at once: what was paid for outlives a kill, and other records'
    errors. Raises UserError when the disk is full."""
    records: SimpleQueue[T | None] = SimpleQueue()
    with ThreadPoolExecutor(1) as disk:
        writing = disk.submit(shards.append, iter(records.get, None))

        def keep(record: T) -> T:
            if writing.done():
                writing.result()  # raises what ended it: nothing more is paid for that cannot be kept
            records.put(record)
            return record

        try:
            yield keep
        finally:
            records.put(None)
        writing.result()


def divert(records: Iterable[T | S], shards: Shards[S], batch: int = 1000) -> Iterator[T]:
    """Yields the records of a step; those of the type of `shards` go there, `batch` at a time and the rest at the end.

    For what a step leaves out (`Dropped`), or notes on the way.
    """
    waiting: list[S] = []
    try:
        for record in records:
            if not isinstance(record, shards.record_type):
                yield record  # type: ignore[misc]
                continue
            waiting.append(record)
            if len(waiting) >= batch:
                shards.append(waiting)
                waiting.clear()
    finally:
        if waiting or shards.paths():  # what a killed process has left is made whole
            shards.append(waiting)


def _key(record: Any) -> str:
    """What is there once. A record that holds until the next run is another one than what takes its place."""
    key = f"{record.step}/{record.reason}/{record.id}" if isinstance(record, Dropped) else record.id
    return f"{key}\0transient" if getattr(record, "transient", False) else key
