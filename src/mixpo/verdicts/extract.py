"""The final answer of a response: which statement holds it, and what it says as the kind of answer asked for."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.aftermath import kept_open, withdrawn
from mixpo.verdicts.body import Body
from mixpo.verdicts.caveats import NUMERIC, caveat
from mixpo.verdicts.kinds import (
    choice,
    date,
    document,
    expression,
    interval,
    number,
    numeric,
    ratio,
    sequence,
    text,
    time,
    yes_no,
)
from mixpo.verdicts.kinds.number import TOTALS
from mixpo.verdicts.kinds.option_values import NOT_AN_OPTION
from mixpo.verdicts.marks import marked_statements
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.relevance import CONCLUDES, closer
from mixpo.verdicts.statements import (
    Listed,
    Statement,
    bulleted,
    direct_statement,
    first_statement,
    last_line,
    last_statements,
    sentence_end,
)
from mixpo.verdicts.turns import RESULTS


class Kind(NamedTuple):
    """How a kind of answer is read and judged."""

    read: Callable[[Body, Statement, Question], Reading | None]
    """The answer that a statement gives; None when it gives none of this kind."""
    right: Callable[[Reading, Question], bool]
    """Whether it is the ground truth's. Raises Undecided."""


KINDS: dict[AnswerKind, Kind] = {
    AnswerKind.CHOICE: Kind(choice.read, choice.right),
    AnswerKind.YES_NO: Kind(yes_no.read, yes_no.right),
    AnswerKind.INTEGER: Kind(number.read, numeric.exactly),
    AnswerKind.DECIMAL: Kind(number.read, numeric.rounded),
    AnswerKind.NUMBER: Kind(number.read, numeric.as_stated),
    AnswerKind.PERCENT: Kind(number.read, numeric.percent),
    AnswerKind.MONEY: Kind(number.read, numeric.money),
    AnswerKind.FRACTION: Kind(numeric.read_fraction, numeric.exactly),
    AnswerKind.RATIO: Kind(ratio.read, ratio.right),
    AnswerKind.INTERVAL: Kind(interval.read, interval.right),
    AnswerKind.DATE: Kind(date.read, date.right),
    AnswerKind.TIME: Kind(time.read, time.right),
    AnswerKind.LIST: Kind(sequence.read, sequence.right),
    AnswerKind.SET: Kind(sequence.read, sequence.right),
    AnswerKind.EXPRESSION: Kind(expression.read, expression.right),
    AnswerKind.TEXT: Kind(text.read, text.right),
    AnswerKind.DOCUMENT: Kind(text.read, document.right),
    AnswerKind.RELAXED: Kind(numeric.read_relaxed, numeric.relaxed),
}
ANSWERED_FIRST = frozenset(KINDS) - {
    AnswerKind.DOCUMENT,
    AnswerKind.EXPRESSION,
    AnswerKind.INTERVAL,
    AnswerKind.LIST,
    AnswerKind.SET,
}
"""Kinds whose answer may stand at the head of a response, the explanation after it."""
SINGLE = frozenset({AnswerKind.CHOICE, AnswerKind.YES_NO, AnswerKind.TEXT, AnswerKind.TIME, AnswerKind.DATE})
"""Kinds with one answer in words, beside which another may be kept open."""
CONCLUDING = re.compile(r"\b(?:so|thus|hence|therefore|then|final(?:ly)?|answer|get|conclude|wait|actually)\b")
FACTOR_BEFORE = re.compile(r"(?:(?<=[\w)}])[-+]|(?<!\n)(?<!^)[-+*/^]|\d|\\times|\\cdot|(?:^|\$)-)\\f?box(?:ed)?\s?\{$")
FACTOR_BEHIND = re.compile(r"\} ?(?:[-+*/^] ?[\d\\a-z(]|\\times|\\cdot|[a-zA-Z](?![a-zA-Z]))")
SHORT = 40
"""Characters of a sentence that can only be the new answer behind a retraction."""
LEAD = re.compile(r"[\s,:;.!-]*(?:(?:correction|sorry|actually|rather|i mean|make that)\s*[:,]?\s*)*", re.IGNORECASE)
BOX_BEFORE = re.compile(r"\\boxed\{([^{}]{1,100})\}\$?\s*(?:or|and|,|/)\s*\$?\\boxed\{$")
LAST_SENTENCES = 6
"""Sentences looked at from the last one back, when nothing is marked."""


class Extraction(NamedTuple):
    """What was found, by which rule; `reading.problem` says why nothing counts."""

    reading: Reading
    rule: str


def extract(body: Body, question: Question, kind: AnswerKind) -> Extraction | None:
    """The final answer; None when nothing in the response reads as one. A marked answer goes before an unmarked one."""
    reader = KINDS[kind]
    found = _marked(body, question, kind, reader) or _unmarked(body, question, kind, reader)
    return _after(body, question, kind, found) if found else None


def _marked(body: Body, question: Question, kind: AnswerKind, reader: Kind) -> Extraction | None:
    off_list, opened = None, None
    for statement in marked_statements(body):
        if statement.rule == "open box":
            opened = statement.start
            continue
        if opened is not None and CONCLUDING.search(body.lower, statement.end, opened):
            return Extraction(Reading(opened, opened, problem="an open box"), "box")
        reading = reader.read(body, statement, question)
        if reading is None and statement.strict and not _introduces(body, statement):
            reading = Reading(statement.start, statement.end, problem="unreadable")
        if reading is None:
            continue
        if kind is AnswerKind.CHOICE and reading.value == NOT_AN_OPTION:
            off_list = off_list or Extraction(reading, statement.rule)
            continue  # a value that is no option: the option chosen may be marked earlier
        if statement.rule == "box" and _is_factor(body, statement):
            reading = Reading(statement.start, statement.end, problem="a part of a formula")
        if statement.rule == "box" and _joined_box(body, statement, reading, question, reader):
            return Extraction(Reading(statement.start, statement.end, problem="several answers"), "box")
        if off_list and not _names_option(body, reading):
            return off_list  # the final value is no option, an intermediate one is
        return Extraction(reading, statement.rule)
    if opened is not None:
        return Extraction(Reading(opened, opened, problem="an open box"), "box")
    return off_list


def _names_option(body: Body, reading: Reading) -> bool:
    """Whether a reading is a letter, which a value that follows it only explains."""
    return reading.end - reading.start == 1 and body.text[reading.start].isalpha()


def _is_factor(body: Body, statement: Statement) -> bool:
    """Whether a box is a part of a larger formula: `2\\boxed{5}`, `\\boxed{5} + 1`."""
    return (
        FACTOR_BEFORE.search(body.text, max(body.start, statement.start - 12), statement.start) is not None
        or FACTOR_BEHIND.match(body.text, statement.end, body.end) is not None
    )


def _joined_box(body: Body, statement: Statement, reading: Reading, question: Question, reader: Kind) -> bool:
    """Whether the box is one of two that are joined: `\\boxed{A} or \\boxed{B}`."""
    before = BOX_BEFORE.search(body.text, max(body.start, statement.start - 200), statement.start)
    if before is None:
        return False
    other = reader.read(body, Statement(before.start(1), before.end(1), "box"), question)
    return other is not None and other.value is not None and other.value != reading.value


def _introduces(body: Body, statement: Statement) -> bool:
    """Whether a mark stands before a text of several lines ("Answer:" before the whole solution)."""
    return statement.rule in ("marker", "heading") and (
        "\n" in body.text[statement.end : body.end].strip() or statement.end - statement.start > 200
    )


def _after(body: Body, question: Question, kind: AnswerKind, found: Extraction) -> Extraction:
    """The answer, unless what follows takes it back or keeps another one open."""
    reading, rule = found
    if reading.value is None:
        return found
    reader = KINDS[kind]
    if body.text[reading.end : reading.end + 3].strip(" \"')").startswith("?") and rule != "box":
        return Extraction(Reading(reading.start, reading.end, problem="a question"), rule)
    if problem := caveat(body, reading, rule, kind, question.text):
        return Extraction(Reading(reading.start, reading.end, problem=problem), rule)
    taken_back = withdrawn(body, reading.end)
    if taken_back is not None:
        at, for_good = taken_back
        for later in last_statements(body):
            if later.end <= at:
                break
            lead = LEAD.match(body.text, max(later.start, at), later.end)
            later = later._replace(start=lead.end() if lead else at)
            if later.end - later.start <= SHORT:  # "Actually, blue.": nothing but the new answer
                later = later._replace(rule="marker")
            again = reader.read(body, later, question)
            if again is not None and (
                again.value is not None or again.problem in ("several answers", "several letters")
            ):
                return Extraction(again, "last")
        if for_good:
            return Extraction(Reading(reading.start, reading.end, problem="withdrawn"), rule)
        return found
    if kind in SINGLE and kept_open(body, reading.end, tuple(map(str.lower, question.choices))):
        return Extraction(Reading(reading.start, reading.end, problem="another answer kept open"), rule)
    return found


def _unmarked(body: Body, question: Question, kind: AnswerKind, reader: Kind) -> Extraction | None:
    problem = None
    if kind is AnswerKind.CHOICE and (judged := choice.verdicts_on_options(body, question)) is not None:
        if judged.problem:
            closing = next(last_statements(body), None)
            reading = (
                reader.read(body, closing, question)
                if closing and RESULTS.search(body.lower, closing.start, closing.end)
                else None
            )
            return (
                Extraction(reading, "last")
                if reading and reading.value is not None
                else Extraction(judged, "each option")
            )
        return Extraction(judged, "each option")
    for statement in _unmarked_statements(body, kind):
        reading = reader.read(body, statement, question)
        if reading is None:
            continue
        found = Extraction(reading, statement.rule)
        if reading.value is not None:
            last = islice(last_statements(body), LAST_SENTENCES)
            others = ((other, reader.read(body, other, question)) for other in last if other.start != statement.start)
            near = closer(body, reading, statement, others, question, kind)
            return Extraction(near, "last") if near else found
        problem = problem or found
        single = sentence_end(body.text, statement.start, statement.end) >= statement.end - 1
        if statement.rule == "last" or (statement.rule == "direct" and single):
            return problem  # refused or hedged at the end: what stands before is no answer either
    return problem


def _unmarked_statements(body: Body, kind: AnswerKind) -> Iterator[Statement]:
    """The whole response, its last line, its first sentence where that may answer, its last sentences."""
    if direct := direct_statement(body):
        yield direct
    listed = bulleted(body) if kind in NUMERIC else None
    if (line := last_line(body)) and (listed is None or not _is_item(body, listed, line)):
        yield line
    if kind in ANSWERED_FIRST and (first := first_statement(body)):
        closing = None if kind in NUMERIC else next(last_statements(body), None)
        if closing and closing.start > first.end and CONCLUDES.match(body.lower, closing.start, closing.end):
            yield closing
        yield first
    for count, statement in enumerate(last_statements(body)):
        if count == LAST_SENTENCES:
            return
        if listed is None or not _is_item(body, listed, statement):
            yield statement


def _is_item(body: Body, listed: Listed, statement: Statement) -> bool:
    """Whether a statement is one of several counted items, and neither a total nor a result."""
    inside = listed.start <= statement.start and statement.end <= listed.end + 2
    before = body.lower[body.start : listed.start].strip()
    return (
        inside
        and bool(before)
        and not TOTALS.search(body.lower[statement.start : statement.end])
        and "=" not in body.text[statement.start : statement.end]
    )
