"""`mixpo verify` on files of one's own: questions and responses as JSON lines in, verdicts as JSON lines out.

question: id, answer, and what is known of text, kind, choices, precision, unit
response: id, question_id, text, and finish_reason ("stop" or "length") where it is known
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from mixpo.errors import DataError, UserError
from mixpo.files import read_lines
from mixpo.ids import Ids
from mixpo.json_lines import from_json, from_row, to_json
from mixpo.progress import say, track
from mixpo.records import Question, Response, Verdict
from mixpo.verdicts.parallel import in_parallel
from mixpo.verdicts.verify import Config, verify

T = TypeVar("T", Question, Response)


def verify_files(questions: Path, responses: Path, out: Path) -> None:
    """Judges every response that has no verdict in `out` yet, over all cores. Raises DataError with file and line."""
    known = _questions(questions)
    done = _done(out)
    total = sum(1 for _ in read_lines(responses))
    new = (
        (known[response.question_id], response) for response in _responses(responses, known) if response.id not in done
    )
    config = Config()
    counts: Counter[str] = Counter()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a", encoding="utf-8") as file:
            judged = in_parallel(_judged, new, config.workers, config.time_limit)
            for outcome, line in track(judged, "verify", total=total, done=len(done)):
                file.write(line)
                counts[outcome] += 1
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); choose another file, then run again") from error
    say(
        f"{out}: {sum(counts.values())} new verdicts, {len(done)} were there"
        + "".join(f", {n} {o}" for o, n in counts.most_common())
    )


def _judged(question: Question, response: Response) -> tuple[str, str]:
    """The outcome and the verdict's line: made where it is judged, since lines are cheaper to send than records."""
    verdict = verify(question, response)
    return verdict.outcome.value, to_json(verdict) + "\n"


def _questions(path: Path) -> dict[str, Question]:
    found: dict[str, Question] = {}
    for number, line in enumerate(read_lines(path), 1):
        question = _record(Question, line, {"text": ""}, path, number)
        if question.id in found:
            raise DataError(f"{path}:{number}: the question id {question.id!r} was there before; make ids unique")
        found[question.id] = question
    return found


def _responses(path: Path, questions: dict[str, Question]) -> Iterator[Response]:
    seen = Ids()
    for number, line in enumerate(read_lines(path), 1):
        response = _record(Response, line, {"sample": 0, "finish_reason": "stop"}, path, number)
        if response.question_id not in questions:
            raise DataError(
                f"{path}:{number}: no question has the id {response.question_id!r}; check the questions file"
            )
        if not seen.add(response.id):
            raise DataError(f"{path}:{number}: the response id {response.id!r} was there before; make ids unique")
        yield response


def _record(record_type: type[T], line: str, defaults: dict[str, Any], path: Path, number: int) -> T:
    try:
        row = json.loads(line)
        record = from_row(record_type, {**defaults, **row} if isinstance(row, dict) else row)
    except ValueError as error:
        raise DataError(f"{path}:{number}: not a {record_type.__name__.lower()} ({error}); mend the line") from None
    wrong = next(
        (name for name in ("id", "text", "question_id") if not isinstance(getattr(record, name, ""), str)), None
    )
    if wrong or not isinstance(getattr(record, "answer", ""), str | None):
        raise DataError(f"{path}:{number}: {wrong or 'answer'} must be a string; put it in quotes")
    return record


def _done(out: Path) -> Ids:
    """Ids that have a verdict; a line torn by a kill is cut off, to be made again."""
    if not out.exists():
        return Ids()
    try:
        with out.open("rb+") as file:
            content_end = sum(len(line) for line in file if line.endswith(b"\n"))
            file.truncate(content_end)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); choose another file, then run again") from error
    done = Ids()
    for number, line in enumerate(read_lines(out), 1):
        try:
            done.add(from_json(Verdict, line).id)
        except ValueError as error:
            raise DataError(f"{out}:{number}: not a verdict ({error}); choose another file for the verdicts") from None
    return done
