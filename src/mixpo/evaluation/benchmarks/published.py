"""Rows of a benchmark as they were published: Parquet, VLMEvalKit's TSV, JSON, JSON lines, or a hub name."""

import base64
import binascii
import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.evaluation.benchmarks.benchmark import Rows
from mixpo.questions import huggingface, parquet

POINTER = 64
"""VLMEvalKit writes a picture that an earlier row has as that row's index: text of at most so many characters."""
FIELD_LIMIT = 1 << 30


def local_rows(path: Path, split: str) -> Rows:
    """The rows of a file, or of a folder's files of the split. Raises DataError when there are none to read.

    A row also has `file`, its file's name without ending, and, where a JSON file maps names to rows, `key`.
    """
    for file in files(path, split):
        for number, row in enumerate(READERS[file.suffix.lower()](file), 1):
            yield f"{file.name}:{number}", {"file": file.stem, **row} if isinstance(row, dict) else row


def files(path: Path, split: str) -> list[Path]:
    """A folder's data files whose names end in the split, else name it, else all of them; of one kind."""
    if path.is_file():
        if path.suffix.lower() not in READERS:
            raise DataError(f"{path}: a benchmark's file is one of {', '.join(READERS)}")
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS and file.is_file())
    word = re.compile(rf"(?<![a-z]){re.escape(split)}(?![a-z])", re.IGNORECASE)
    ending = [file for file in found if re.search(rf"(?<![a-z]){re.escape(split)}$", file.stem, re.IGNORECASE)]
    named = ending or [file for file in found if word.search(file.stem)] or found
    for suffix in READERS:
        of_kind = [file for file in named if file.suffix.lower() == suffix]
        if of_kind:
            return of_kind
    raise DataError(f"{path}: holds no {', '.join(READERS)} file; give the folder or the file of the benchmark's data")


def hub_rows(name: str, subset: str, split: str) -> Rows:
    """The rows of a data set on the hub, images undecoded. Raises DataError or MissingExtra."""
    config = huggingface.Config(path=name, subset=subset, split=split)
    for number, row in enumerate(huggingface.rows(config, None), 1):
        yield f"{split}:{number}", row


def _tsv(file: Path) -> Iterator[dict[str, Any]]:
    """VLMEvalKit's table: `image` holds a picture in base64, a list of them, or the index of a row that has it."""
    csv.field_size_limit(FIELD_LIMIT)
    seen: dict[str, list[bytes]] = {}
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                values: dict[str, Any] = {key: value for key, value in row.items() if key and value not in (None, "")}
                if "image" in values:
                    values["image"] = _pictures(values["image"], seen)
                    seen[values.get("index", "")] = values["image"]
                yield values
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read as a tab-separated table ({error}); download it again") from error


def _pictures(text: str, seen: dict[str, list[bytes]]) -> list[bytes]:
    if len(text) <= POINTER:
        return seen.get(text.strip(), [])
    parts = json.loads(text.replace("'", '"')) if text.startswith("[") else [text]
    try:
        return [base64.b64decode(part, validate=True) for part in parts]
    except (binascii.Error, ValueError):
        return [b""]  # an image that cannot be read drops the row, with its reason


def _json_lines(file: Path) -> Iterator[Any]:
    for line in _text(file).splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError:
                yield line  # no mapping: dropped as a bad row, by its number


def _json(file: Path) -> Iterator[Any]:
    """A list of rows, rows under `data`, a name -> row mapping, or, whatever the ending says, JSON lines."""
    text = _text(file)
    try:
        content = json.loads(text)
    except ValueError:
        yield from _json_lines(file)
        return
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, dict):
        if not all(isinstance(row, dict) for row in content.values()):
            content = [content]  # one row alone
        else:
            content = [{"key": key, **row} for key, row in content.items()]
    yield from content


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); check the path") from error


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    ".parquet": parquet.read_rows,
    ".tsv": _tsv,
    ".jsonl": _json_lines,
    ".json": _json,
}
"""Ending -> reader; where a folder has several kinds, the first stands."""
