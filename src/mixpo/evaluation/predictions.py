"""Responses that others wrote: mixpo's JSON lines, VLMEvalKit's predictions, lmms-eval's samples, MathVista's outputs.

What they share is a row a response, with the benchmark's own columns beside it or without them:

    VLMEvalKit   xlsx, tsv or json: the columns of its table and `prediction`
    lmms-eval    `*_samples_*.jsonl`: doc_id, doc (without pictures), filtered_resps or resps, target
    MathVista    json: pid -> its columns and `response`
    JSON lines   the benchmark's columns, `response`, and perhaps `source`, the model that wrote it
    mixpo        JSON lines of responses: id, question_id, text, finish_reason
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixpo.errors import DataError, MissingExtra
from mixpo.records import FinishReason

TEXTS = ("prediction", "response", "model_answer", "text")
IDS = ("question_id", "index", "pid", "id", "questionId", "sample_index", "key")
"""Columns that name a question, the first that a row has."""
FIELD_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class Prediction:
    """One response as found in somebody's file."""

    where: str
    """`<file>:<row>`."""
    text: str
    names: dict[str, str]
    """What the row calls its question: column -> value."""
    number: int | None
    """The question's place in the split, from 0, where the file says it (lmms-eval's doc_id)."""
    model: str = ""
    finish_reason: FinishReason = FinishReason.STOP
    row: dict[str, Any] = field(default_factory=dict)
    """The benchmark's own columns, as far as the file repeats them."""


def predictions(path: Path) -> Iterator[Prediction]:
    """Every response of a file. Raises DataError when it cannot be read or a row holds no response."""
    reader = READERS.get(path.name.lower().removesuffix(".gz").rpartition(".")[2])
    if reader is None:
        raise DataError(f"{path}: responses come as {', '.join(READERS)}; convert the file")
    try:
        for number, row in enumerate(reader(path), 1):
            yield _prediction(row, f"{path.name}:{number}")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); check the file") from error


def _prediction(row: Any, where: str) -> Prediction:
    if not isinstance(row, dict):
        raise DataError(f"{where}: a response is a row of columns; mend the file")
    if "doc_id" in row:
        return _lmms_eval(row, where)
    text = next((row[name] for name in TEXTS if row.get(name) is not None and row[name] == row[name]), None)
    if text is None:
        raise DataError(f"{where}: none of the columns {', '.join(TEXTS)} holds a response; rename the one that does")
    names = {name: _name(row[name]) for name in IDS if row.get(name) is not None}
    if not names:
        raise DataError(f"{where}: none of the columns {', '.join(IDS)} says which question was answered; add one")
    reason = FinishReason.LENGTH if row.get("finish_reason") == "length" else FinishReason.STOP
    model = str(row.get("source") or row.get("model") or "")
    return Prediction(where, str(text), names, None, model, reason, row)


def _lmms_eval(row: dict[str, Any], where: str) -> Prediction:
    """`filtered_resps` is a list of one, or the response; `resps` a list of lists. `doc` may be missing."""
    given: Any = row.get("resps") or row.get("filtered_resps")
    while isinstance(given, list) and given:
        given = given[0]
    if not isinstance(given, str):
        raise DataError(f"{where}: neither resps nor filtered_resps holds a response; log the samples again")
    doc = row.get("doc") if isinstance(row.get("doc"), dict) else {}
    names = {name: _name(doc[name]) for name in IDS if doc and doc.get(name) is not None}
    return Prediction(where, given, names, int(row["doc_id"]), row=doc or {})


def _name(value: Any) -> str:
    """A spreadsheet turns 17 into 17.0."""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value).strip()


def _json_lines(path: Path) -> Iterator[Any]:
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _json(path: Path) -> Iterator[Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, dict) and "logs" in content:  # lmms-eval before its samples had a file of their own
        content = content["logs"]
    if isinstance(content, dict):
        content = [{"key": key, **row} if isinstance(row, dict) else row for key, row in content.items()]
    yield from content


def _table(delimiter: str) -> Callable[[Path], Iterator[Any]]:
    def read(path: Path) -> Iterator[Any]:
        csv.field_size_limit(FIELD_LIMIT)
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter=delimiter):
                yield {key: value for key, value in row.items() if key and value not in (None, "")}

    return read


def _xlsx(path: Path) -> Iterator[Any]:
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtra("openpyxl", "xlsx") from error
    from zipfile import BadZipFile

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError) as error:
        raise ValueError(f"no Excel file: {error}") from error
    rows = book.worksheets[0].iter_rows(values_only=True)
    heads = [str(head) for head in next(rows, ())]
    for values in rows:
        row = {head: value for head, value in zip(heads, values) if value is not None}
        if row:
            yield row
    book.close()


READERS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "jsonl": _json_lines,
    "json": _json,
    "tsv": _table("\t"),
    "csv": _table(","),
    "xlsx": _xlsx,
}
"""Ending -> reader."""
