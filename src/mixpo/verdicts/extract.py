"""The final answer of a response: which statement holds it, and what it says as the kind of answer asked for."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import (
    choice,
    date,
    decimal,
    document,
    expression,
    fraction,
    integer,
    interval,
    money,
    number,
    percent,
    ratio,
    relaxed,
    sequence,
    text,
    time,
    yes_no,
)
from mixpo.verdicts.kinds.options import NOT_AN_OPTION
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import (
    WITHDRAWN,
    Statement,
    direct_statement,
    first_statement,
    last_line,
    last_statements,
    marked_statements,
    sentence_end,
)


class Kind(Protocol):
    """A module of `mixpo.verdicts.kinds`."""

    def read(self, body: Body, statement: Statement, question: Question, /) -> Reading | None:
        """The answer that a statement gives; None when it gives none of this kind."""

    def right(self, reading: Reading, question: Question, /) -> bool:
        """Whether it is the ground truth's. Raises Undecided."""


KINDS: dict[AnswerKind, Kind] = {
    AnswerKind.CHOICE: choice,
    AnswerKind.YES_NO: yes_no,
    AnswerKind.INTEGER: integer,
    AnswerKind.DECIMAL: decimal,
    AnswerKind.NUMBER: number,
    AnswerKind.PERCENT: percent,
    AnswerKind.MONEY: money,
    AnswerKind.FRACTION: fraction,
    AnswerKind.RATIO: ratio,
    AnswerKind.INTERVAL: interval,
    AnswerKind.DATE: date,
    AnswerKind.TIME: time,
    AnswerKind.LIST: sequence,
    AnswerKind.SET: sequence,
    AnswerKind.EXPRESSION: expression,
    AnswerKind.TEXT: text,
    AnswerKind.DOCUMENT: document,
    AnswerKind.RELAXED: relaxed,
}
ANSWERED_FIRST = frozenset(KINDS) - {
    AnswerKind.TEXT,
    AnswerKind.DOCUMENT,
    AnswerKind.EXPRESSION,
    AnswerKind.LIST,
    AnswerKind.SET,
}
"""Kinds whose answer may stand at the head of a response, the explanation after it."""
LAST_SENTENCES = 6
"""Sentences looked at from the last one back, when nothing is marked."""


class Extraction(NamedTuple):
    """What was found, by which rule; `reading.problem` says why nothing counts."""

    reading: Reading
    rule: str


def extract(body: Body, question: Question, kind: AnswerKind) -> Extraction | None:
    """The final answer; None when nothing in the response reads as one. A marked answer goes before an unmarked one."""
    reader = KINDS[kind]
    off_list = None
    for statement in marked_statements(body):
        reading = reader.read(body, statement, question)
        if reading is None and statement.strict and not _introduces(body, statement):
            reading = Reading(statement.start, statement.end, problem="unreadable")
        if reading is None:
            continue
        if kind is AnswerKind.CHOICE and reading.value == NOT_AN_OPTION:
            off_list = off_list or Extraction(reading, statement.rule)
            continue  # a value that is no option: the option chosen may be marked earlier
        return _withdrawn(body, statement, question, reader) or Extraction(reading, statement.rule)
    return off_list or _unmarked(body, question, kind, reader)


def _introduces(body: Body, statement: Statement) -> bool:
    """Whether a mark stands before a text of several lines ("Answer:" before the whole solution)."""
    return statement.rule in ("marker", "heading") and (
        "\n" in body.text[statement.end : body.end].strip() or statement.end - statement.start > 200
    )


def _withdrawn(body: Body, statement: Statement, question: Question, reader: Kind) -> Extraction | None:
    """What stands instead of a marked answer that the model takes back afterwards ("Wait, …")."""
    taken_back = WITHDRAWN.search(body.lower, statement.start, body.end)
    if taken_back is None:
        return None
    for later in last_statements(body):
        if later.start < taken_back.start() - 2:
            break
        reading = reader.read(body, later, question)
        if reading is not None and reading.value is not None:
            return Extraction(reading, "last")
    wrong = body.lower[taken_back.start() : taken_back.start() + 200]
    if "wrong" in wrong or "incorrect" in wrong or "mistake" in wrong:
        return Extraction(Reading(statement.start, statement.end, problem="withdrawn"), statement.rule)
    return None


def _unmarked(body: Body, question: Question, kind: AnswerKind, reader: Kind) -> Extraction | None:
    problem = None
    for statement in _unmarked_statements(body, kind):
        reading = reader.read(body, statement, question)
        if reading is None:
            continue
        found = Extraction(reading, statement.rule)
        if reading.value is not None:
            return found
        problem = problem or found
        if statement.rule == "last" or (statement.rule == "direct" and _single_sentence(body, statement)):
            return problem  # refused or hedged at the end: what stands before is no answer either
    return problem


def _single_sentence(body: Body, statement: Statement) -> bool:
    return sentence_end(body.text, statement.start, statement.end) >= statement.end - 1


def _unmarked_statements(body: Body, kind: AnswerKind) -> Iterator[Statement]:
    """The whole response, its last line, its first sentence where that may answer, its last sentences."""
    if direct := direct_statement(body):
        yield direct
    if line := last_line(body):
        yield line
    if kind in ANSWERED_FIRST and (first := first_statement(body)):
        yield first
    for count, statement in enumerate(last_statements(body)):
        if count == LAST_SENTENCES:
            return
        yield statement
