"""Responses that others wrote: mixpo's JSON lines, VLMEvalKit's predictions, lmms-eval's samples, MathVista's outputs.

What they share is a row a response, with the benchmark's own columns beside it or without them:

    VLMEvalKit   xlsx, tsv or json: the columns of its table and `prediction`
    lmms-eval    `*_samples_*.jsonl`: doc_id, doc (without pictures), filtered_resps or resps, target
    MathVista    json: pid -> its columns and `response`
    JSON lines   the benchmark's columns, `response`, and perhaps `source`, the model that wrote it
    mixpo        JSON lines of responses: id, question_id, text, finish_reason
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mixpo.errors import BadRow, DataError
from mixpo.left_out import counted
from mixpo.progress import say
from mixpo.records import FinishReason
from mixpo.tables import ENDINGS, ending, rows
from mixpo.values import encodable, number, refuse_half

TEXTS = ("prediction", "response", "model_answer", "text")
IDS = ("question_id", "index", "pid", "id", "questionId", "sample_index", "key")
"""Columns that name a question, the first that a row has."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One response as found in somebody's file."""

    where: str
    """`<file>:<row>`."""
    text: str | None
    """None: the row has no response, the question was not answered."""
    names: dict[str, str]
    """What the row calls its question: column -> value."""
    number: int | None
    """The question's place in the split, from 0, where the file says it (lmms-eval's doc_id)."""
    model: str = ""
    finish_reason: FinishReason = FinishReason.STOP
    row: dict[str, Any] = field(default_factory=dict)
    """The benchmark's own columns, as far as the file repeats them."""
    column: str = ""
    """The one that holds the response."""


def predictions(path: Path) -> Iterator[Prediction]:
    """Every response of a file; where some rows have one, a row without is a question that was not answered.

    Half a surrogate pair in a response, no valid text, becomes "?"; how many have one is said at the end. Raises
    DataError when the file cannot be read, or no row holds a response.
    """
    if ending(path) not in ENDINGS:
        raise DataError(f"{path}: responses come as {', '.join(ENDINGS)}; convert the file")
    missing: list[Prediction] = []
    answered, halves = False, 0
    texts = _texts(path)
    for _, line, row in rows(path, strict=True):
        found = _prediction(row, f"{path.name}:{line}", texts)
        halves += found.text != (text := found.text and encodable(found.text))
        found = replace(found, text=text)
        if found.text is None and not answered:
            missing.append(found)
            continue
        if not answered:
            answered = True
            yield from missing
        yield found
    if missing and not answered:
        raise DataError(
            f"{missing[0].where}: none of the columns {', '.join(TEXTS)} holds a response, in any row; rename the one "
            "that does"
        )
    if halves:
        say(f"{path.name}: {counted(halves, 'response')} held half a character (no valid text), read as `?`")


def _texts(path: Path) -> tuple[str, ...]:
    """The columns that may hold a response: `text` is the question's where any row has its response elsewhere."""
    said = (row.content for row in rows(path) if isinstance(row.content, dict))
    return TEXTS[:-1] if any(_response_column(row, TEXTS[:-1]) for row in said) else TEXTS


def _prediction(row: Any, where: str, texts: tuple[str, ...]) -> Prediction:
    if not isinstance(row, dict):
        raise DataError(f"{where}: a response is a row of columns; mend the file")
    if "doc_id" in row:
        return _lmms_eval(row, where)
    column = _response_column(row, texts)
    names = {name: name_of(row[name]) for name in IDS if row.get(name) is not None}
    if not names:
        raise DataError(f"{where}: none of the columns {', '.join(IDS)} says which question was answered; add one")
    reason = FinishReason.LENGTH if row.get("finish_reason") == "length" else FinishReason.STOP
    model = str(row.get("source") or row.get("model") or "")
    try:
        refuse_half(model)
    except BadRow as error:
        raise DataError(f"{where}: the model's name: {error}; mend the row") from None
    return Prediction(
        where, None if column is None else str(row[column]), names, None, model, reason, row, column or ""
    )


def _response_column(row: dict[str, Any], texts: tuple[str, ...]) -> str | None:
    """The column that holds the response; None where all are empty."""
    return next((name for name in texts if row.get(name) == row.get(name) and _said(row.get(name))), None)


def _said(value: Any) -> str | None:
    """A response's text; None where there is nothing in it."""
    return str(value) if value is not None and str(value).strip() else None


def _lmms_eval(row: dict[str, Any], where: str) -> Prediction:
    """`filtered_resps` is a list of one, or the response; `resps` a list of lists. `doc` may be missing."""
    given: Any = row.get("resps") or row.get("filtered_resps")
    while isinstance(given, list) and given:
        given = given[0]
    if not isinstance(given, str):
        raise DataError(f"{where}: neither resps nor filtered_resps holds a response; log the samples again")
    if not str(row["doc_id"]).isdecimal():
        raise DataError(f"{where}: doc_id is the question's place in the split, not {row['doc_id']!r}; log them again")
    doc = row.get("doc") if isinstance(row.get("doc"), dict) else {}
    names = {name: name_of(doc[name]) for name in IDS if doc and doc.get(name) is not None}
    return Prediction(where, _said(given), names, int(row["doc_id"]), row=doc or {})


def name_of(value: Any) -> str:
    """What a question is called, as text. A spreadsheet turns 17 into 17.0."""
    return number(value) if isinstance(value, float) else str(value).strip()
