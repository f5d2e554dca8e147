"""`mixpo verify` on files of one's own: questions and responses (`mixpo.tables`) in, verdicts as JSON lines out.

question: id, answer, and what is known of text, kind, choices, precision, unit
response: id, question_id, text, and finish_reason ("stop" or "length") where it is known

People's files are read as they are: other common names for the same columns, numbers for ids and answers, `null` for
what is missing, no ids (they are made from the line). A line that cannot be used is a `Dropped` record with its reason
in `<out>.dropped.jsonl`; the first reason and the columns that were not used are said on the screen.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mixpo.errors import DataError
from mixpo.ids import Ids
from mixpo.json_lines import from_json, from_row, to_json
from mixpo.left_out import counted
from mixpo.lock import held_beside
from mixpo.out_files import refuse_inputs, refuse_other_lines, unended
from mixpo.progress import say, track
from mixpo.records import LISTS, Dropped, DropReason, Outcome, Question, Response, Verdict
from mixpo.tables import BadLine, Row, rows
from mixpo.text_files import write_text, writing
from mixpo.verdicts.parallel import in_parallel
from mixpo.verdicts.summary import VerdictTally, ending
from mixpo.verdicts.verify import Config, verify

T = TypeVar("T", Question, Response)
NAMES: dict[type, dict[str, tuple[str, ...]]] = {
    Question: {
        "id": ("id", "question_id", "qid", "pid", "index"),
        "text": ("text", "question", "query", "prompt", "problem"),
        "answer": ("answer", "label", "ground_truth", "gt", "solution", "target"),
        "accepted": ("accepted",),
        "kind": ("kind", "answer_kind"),
        "choices": ("choices", "options"),
        "precision": ("precision",),
        "unit": ("unit",),
    },
    Response: {
        "id": ("id", "response_id"),
        "question_id": ("question_id", "qid", "pid", "index", "question"),
        "text": ("text", "prediction", "response", "output", "completion", "answer"),
        "finish_reason": ("finish_reason",),
        "sample": ("sample",),
        "thought_open": ("thought_open",),
    },
}
"""A record's fields, and the names that files give them: the first that a row has is taken."""
IGNORED = frozenset(
    "prompt system turns style token_ids canonical prompt_tokens completion_tokens logp "
    "images videos domain category meta".split()
)
"""Fields of our own records that judging does not need: not worth a word."""

VERDICTS = "verdicts"
"""What the file that is written holds."""
BEGINS = b'{"id": "'
TORN = re.compile(rb'\{"id": "(?:[^"\\]|\\.)*", "question_id": "(?:[^"\\]|\\.)*", "outcome": "')
"""How a verdict's line begins: behind other verdicts, and where nothing else tells that the file is one of verdicts."""


@dataclass
class _Reading:
    """What was left out of the files, and which of their columns were not used."""

    dropped: list[Dropped] = field(default_factory=list)
    halves: int = 0
    """Responses of whose text half a surrogate pair, which is no valid text, was replaced."""
    unused: dict[str, set[str]] = field(default_factory=dict)

    def drop(self, name: str, path: Path, line: int, why: str, reason: DropReason = DropReason.BAD_ROW) -> None:
        self.dropped.append(Dropped(id=name, step="verify", reason=reason, detail=f"{path.name}:{line}: {why}"))


def verify_files(questions: Path, responses: Path, out: Path) -> None:
    """Judges every response that has no verdict in `out` yet, over all cores. Raises DataError, and UserError when
    `out` holds anything but verdicts, is one of the files that are read, or is being written by another process."""
    reading, judged = _Reading(), VerdictTally()
    aside = out.with_name(f"{out.name}.dropped.jsonl")
    for written in (out, aside):
        refuse_inputs(written, questions, responses)
    refuse_other_lines(aside, "lines left out", partial(from_json, Dropped))
    with held_beside(out):
        done = _done(out, judged)
        known = _questions(questions, reading)
        if not known:
            raise DataError(f"{questions} holds no question that can be used ({_first(reading)}); mend it")
        _append(known, responses, out, done, reading, judged)
        if reading.dropped or aside.exists():
            write_text(aside, "".join(to_json(record) + "\n" for record in reading.dropped))
    _tell(reading, judged, out, aside)
    if judged.unparsed:
        texts = (one.text for one in _responses(responses, known, _Reading()) if one.id == judged.unparsed)
        say(f"verify: no answer was found in {judged.unparsed}, which ends: {ending(next(texts, ''))}")


def _append(
    known: dict[str, Question], responses: Path, out: Path, done: Ids, reading: _Reading, judged: VerdictTally
) -> None:
    total = sum(1 for _ in rows(responses))
    new = (
        (known[response.question_id], response)
        for response in _responses(responses, known, reading)
        if response.id not in done
    )
    config = Config()
    with writing(out), out.open("a", encoding="utf-8") as file:
        made = in_parallel(_judged, new, config.workers, config.time_limit)
        for id, question, outcome, line in track(made, "verify", total=total, done=len(done)):
            file.write(line)
            judged.new += 1
            judged.count(id, question, Outcome(outcome))


def _tell(reading: _Reading, judged: VerdictTally, out: Path, aside: Path) -> None:
    for name, columns in sorted(reading.unused.items()):
        say(f"{name}: columns not used: {', '.join(sorted(columns))}")
    if reading.dropped:
        say(f"{counted(len(reading.dropped), 'line')} left out ({aside}), the first: {_first(reading)}")
    if reading.halves:
        say(f"verify: {counted(reading.halves, 'response')} held half a character (no valid text), read as `?`")
    for sentence in judged.sentences(out):
        say(f"verify: {sentence}")


def _first(reading: _Reading) -> str:
    return reading.dropped[0].detail if reading.dropped else "it is empty"


def _judged(question: Question, response: Response) -> tuple[str, str, str, str]:
    """Ids, outcome and the verdict's line: made where it is judged, since lines are cheaper to send than records."""
    verdict = verify(question, response)
    return verdict.id, verdict.question_id, verdict.outcome.value, to_json(verdict) + "\n"


def _questions(path: Path, reading: _Reading) -> dict[str, Question]:
    found: dict[str, Question] = {}
    for row in rows(path):
        question = _record(Question, row, {"text": ""}, path, reading)
        if question is None:
            continue
        if question.id in found:
            why = f"the question id {question.id!r} was there before"
            reading.drop(question.id, path, row.line, why, DropReason.DUPLICATE_ID)
        elif question.answer is None:
            reading.drop(question.id, path, row.line, "no answer", DropReason.NO_GROUND_TRUTH)
        else:
            found[question.id] = question
    return found


def _responses(path: Path, questions: dict[str, Question], reading: _Reading) -> Iterator[Response]:
    seen = Ids()
    for row in rows(path):
        response = _record(Response, row, {"sample": 0, "finish_reason": "stop"}, path, reading)
        if response is None:
            continue
        if response.question_id not in questions:
            reading.drop(response.id, path, row.line, f"no question has the id {response.question_id!r}")
        elif not seen.add(response.id):
            why = f"the response id {response.id!r} was there before"
            reading.drop(response.id, path, row.line, why, DropReason.DUPLICATE_ID)
        else:
            yield response


def _record(record_type: type[T], found: Row, defaults: dict[str, Any], path: Path, reading: _Reading) -> T | None:
    """The record of a row; None, and a `Dropped`, where it cannot be read."""
    name, row = f"{path.stem}:{found.number}", found.content
    try:
        if isinstance(row, BadLine):
            raise row
        if not isinstance(row, dict):
            raise ValueError("not a row of columns")
        fields = _fields(record_type, row, name, path, reading)
        record = from_row(record_type, {**defaults, **fields})
        reading.halves += record.text != fields.get("text", record.text)
        return record
    except (ValueError, RecursionError) as error:
        reading.drop(name, path, found.line, f"not a {record_type.__name__.lower()} ({error})")
        return None


def _fields(record_type: type, row: dict[str, Any], name: str, path: Path, reading: _Reading) -> dict[str, Any]:
    """The record's fields from a row's columns, as text where people wrote numbers."""
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for own, names in NAMES[record_type].items():
        column = next((other for other in names if row.get(other) is not None and other not in taken), None)
        if column is None:
            continue
        taken.add(column)
        found[own] = _plain(own, row[column])
    if isinstance(answers := found.get("answer"), list):
        several = answers if found.get("kind") not in LISTS else [", ".join(answers)]
        found |= {"answer": several[0], "accepted": [*several[1:], *found.get("accepted", ())]}
    unused = {column for column in row if row[column] is not None} - taken - IGNORED
    if unused:
        reading.unused.setdefault(path.name, set()).update(unused)
    found.setdefault("id", f"{found['question_id']}/{name.rpartition(':')[2]}" if "question_id" in found else name)
    if record_type is Response and not isinstance(found.get("text"), str):
        raise ValueError("no text")
    return found


def _plain(own: str, value: Any) -> Any:
    if own == "choices":
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        return [str(item) for item in items]
    if own in ("precision", "sample") and isinstance(value, str) and value.isdecimal():
        return int(value)  # a cell of a table
    if own in ("id", "question_id", "answer") and isinstance(value, bool):
        return "yes" if value else "no"
    if own in ("id", "question_id", "answer") and isinstance(value, int | float):
        return str(value)
    if (
        own == "answer"
        and isinstance(value, list)
        and value
        and all(isinstance(one, str | int | float) for one in value)
    ):
        return [_plain(own, x) for x in value]
    if own in ("sample", "precision") and isinstance(value, float | str):
        # A table with gaps writes whole numbers as 2.0, one that was text as "2".
        whole = re.fullmatch(r"\s*([+-]?\d+)(?:\.0*)?\s*", str(value), re.ASCII)
        return int(whole[1]) if whole else value
    if own == "thought_open" and value in (0, 1):
        return bool(value)
    if own in ("id", "question_id", "text", "answer") and not isinstance(value, str):
        raise ValueError(f"{own} is {type(value).__name__}, not text")
    return value


def _done(out: Path, judged: VerdictTally) -> Ids:
    """Ids that have a verdict, which `judged` counts. Only then is a line that a kill tore cut off, to be made again;
    another kind of file is refused, and left as it is."""
    done = Ids()

    def count(line: bytes) -> None:
        verdict = from_json(Verdict, line)
        if done.add(verdict.id):
            judged.add(verdict)

    rest = unended(out, VERDICTS, count)
    if rest:
        torn = TORN.match(rest) if not len(done) else rest.startswith(BEGINS[: len(rest)])
        with writing(out), out.open("rb+") as file:
            if not torn or _is_json(rest):  # somebody's editor has left the last newline out, or it is no verdict
                refuse_other_lines(out, VERDICTS, count)
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
            else:
                file.truncate(out.stat().st_size - len(rest))
    return done


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
