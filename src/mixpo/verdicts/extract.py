"""The final answer of a response: which statement holds it, and what it says as the kind of answer asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body, body_of
from mixpo.verdicts.kinds import choice, number, text, yes_no
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement, direct_statement, explicit_statements, first_statement, last_statements


class Kind(Protocol):
    """A module of `mixpo.verdicts.kinds`."""

    def read(self, text: str, statement: Statement, question: Question) -> Reading | None: ...

    def right(self, reading: Reading, question: Question) -> bool: ...


KINDS: dict[AnswerKind, Kind] = {
    AnswerKind.CHOICE: choice,
    AnswerKind.YES_NO: yes_no,
    AnswerKind.INTEGER: number,
    AnswerKind.DECIMAL: number,
    AnswerKind.NUMBER: number,
    AnswerKind.TEXT: text,
}
KINDS |= {kind: text for kind in AnswerKind if kind not in KINDS}
LAST_SENTENCES = 6


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found, by which rule; `reading.problem` says why nothing counts."""

    reading: Reading
    rule: str


def extract(response: str, question: Question, kind: AnswerKind) -> Extraction | None:
    """The final answer; None when nothing in the response reads as one."""
    return extract_from(body_of(response), question, kind)


def extract_from(body: Body, question: Question, kind: AnswerKind) -> Extraction | None:
    reader = KINDS[kind]
    refused = None
    for statement in explicit_statements(body):
        reading = reader.read(body.text, statement, question)
        if reading is not None:
            return Extraction(reading, statement.rule)
        if statement.strict:
            return Extraction(Reading(statement.start, statement.end, problem="unreadable"), statement.rule)
    for statement in _unmarked(body, kind):
        reading = reader.read(body.text, statement, question)
        if reading is not None and reading.value is not None:
            return Extraction(reading, statement.rule)
        if reading is not None and refused is None:
            refused = Extraction(reading, statement.rule)
            if reading.problem == "refused":
                break
    return refused


def _unmarked(body: Body, kind: AnswerKind) -> Iterator[Statement]:
    direct = direct_statement(body)
    if direct:
        yield direct
    if kind in (AnswerKind.CHOICE, AnswerKind.YES_NO):
        first = first_statement(body)
        if first:
            yield first
    for count, statement in enumerate(last_statements(body)):
        if count == LAST_SENTENCES:
            break
        yield statement
