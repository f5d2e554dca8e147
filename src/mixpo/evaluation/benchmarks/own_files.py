"""Whether files are a benchmark's own, and what names their rows when several files number theirs alike."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import Any

from mixpo.errors import DataError
from mixpo.evaluation.benchmarks.benchmark import Benchmark
from mixpo.questions.source import Item, left_out
from mixpo.records import Dropped, DropReason

Read = tuple[str, Any, Item | Dropped]
"""(`<file>:<row>`, the row, what was read of it)."""
LOOKED_AT = 20
"""Rows at a file's beginning of which one must be the benchmark's."""
TABLES = (".parquet", ".tsv", ".csv", ".xlsx", ".arrow")
"""Files that are one data set: each must be the benchmark's. A publisher's JSON may lie beside other JSON."""
REPEATED = "id_in_file"
"""The key of `meta` under which a question that is called by its file has the id that the file gives it."""


def only_its_own(found: Benchmark, rows: Iterable[Read]) -> Iterator[Read]:
    """The rows. Raises DataError for a table none of whose first rows is the benchmark's, and where no file has one."""
    any_own, last = False, ""
    for file, group in groupby(rows, lambda read: _file(read[0])):
        of_file = iter(group)
        waiting: list[Read] = []
        for read in of_file:
            waiting.append(read)
            if why := _foreign(found, read):
                last = last or f"{file}: not a file of {found.title}: {why}; give the one that is, or `loader: file`"
                if len(waiting) < LOOKED_AT:
                    continue
                break
            any_own = True
            yield from waiting
            yield from of_file
            waiting = []
        if waiting and file.lower().removesuffix(".gz").endswith(TABLES):
            raise DataError(last)
        yield from waiting
        yield from of_file
    if not any_own:
        raise DataError(last or f"there are no rows of {found.title} to read; give the file or the folder of its data")


def _file(where: str) -> str:
    return where.rpartition(":")[0]


def _foreign(found: Benchmark, read: Read) -> str:
    """Why a row is none of the benchmark's; empty where it is."""
    _, row, entry = read
    if isinstance(row, dict) and found.marks and not any(row.keys() >= set(mark.split()) for mark in found.marks):
        forms = " or ".join(mark.replace(" ", ", ") for mark in found.marks)
        return f"its rows have not the columns {forms}"
    return entry.detail if isinstance(entry, Dropped) and entry.reason is DropReason.BAD_ROW else ""


def unrepeated(rows: Iterable[Read], name: str) -> Iterator[Item | Dropped]:
    """What was read. A question whose id another file had is called by its file too; one that its own had is
    dropped."""
    first: dict[str, str] = {}
    taken: set[str] = set()
    for where, _, entry in rows:
        if isinstance(entry, Item):
            own_id, file = entry.question.id, _file(where)
            if first.setdefault(own_id, file) != file:
                short = own_id.removeprefix(f"{name}-")
                own_id = f"{name}-{file.partition('.')[0]}-{short}"
                meta = {**entry.question.meta, REPEATED: short}
                entry = replace(entry, question=replace(entry.question, id=own_id, meta=meta))
            if own_id in taken:
                entry = left_out(f"{name}/{where}", DropReason.DUPLICATE_ID, f"an earlier row has the id {own_id}")
            taken.add(own_id)
        yield entry
