"""Rows of a benchmark as they were published: a file's (`mixpo.tables`), VLMEvalKit's pictures in it, or the hub's."""

import re
from pathlib import Path

from mixpo.errors import DataError
from mixpo.evaluation.benchmarks.benchmark import Rows
from mixpo.pictures import with_pictures
from mixpo.questions import huggingface
from mixpo.tables import ENDINGS, ending, rows

KINDS = (".parquet", ".tsv", ".jsonl", ".json")
"""What a folder's data is looked for in; where it has several kinds, the first stands."""


def local_rows(path: Path, split: str) -> Rows:
    """The rows of a file, or of a folder's files of the split. Raises DataError when there are none to read.

    A row also has `file`, its file's name without ending, and, where a JSON file maps names to rows, `key`.
    """
    for file in files(path, split):
        found = rows(file)
        for _, line, row in with_pictures(found) if ending(file) == ".tsv" else found:
            yield f"{file.name}:{line}", {"file": file.stem, **row} if isinstance(row, dict) else row


def files(path: Path, split: str) -> list[Path]:
    """A folder's data files whose names end in the split, else name it, else all of them; of one kind."""
    if path.is_file():
        if ending(path) not in ENDINGS:
            raise DataError(f"{path}: a benchmark's file is one of {', '.join(ENDINGS)}")
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in KINDS and file.is_file())
    word = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])", re.IGNORECASE)
    last = [file for file in found if re.search(rf"(?<![a-z]){re.escape(split)}$", file.stem, re.IGNORECASE)]
    named = last or [file for file in found if word.search(file.stem)] or found
    for suffix in KINDS:
        of_kind = [file for file in named if file.suffix.lower() == suffix]
        if of_kind:
            return of_kind
    raise DataError(f"{path}: holds no {', '.join(KINDS)} file; give the folder or the file of the benchmark's data")


def hub_rows(name: str, subset: str, split: str) -> Rows:
    """The rows of a data set on the hub, images undecoded. Raises DataError or MissingExtra."""
    config = huggingface.Config(path=name, subset=subset, split=split)
    for number, row in enumerate(huggingface.rows(config, None), 1):
        yield f"{split}:{number}", row
