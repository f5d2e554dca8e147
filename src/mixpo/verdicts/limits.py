"""How long a ground truth and its options may be, so that no row makes the judge slow: it reads them with the patterns
that it reads answers with, once for each response."""

import re

from mixpo.records import AnswerKind, Question

PROSE = {AnswerKind.TEXT: 100_000, AnswerKind.DOCUMENT: 100_000, AnswerKind.CHOICE: 5_000}
"""Most characters of a ground truth that is compared as text."""
VALUE = 1_000
"""Most characters of any other: a number, a formula, a list."""
OPTIONS, OPTION = 1_000, 5_000
"""Most options, and most characters of one."""
DECIMALS = 100
"""The most that a number may be compared at."""
BLANKS = re.compile(r"\s{51}")


def beyond(question: Question, kind: AnswerKind) -> str | None:
    """Why the question's ground truth is not read; None where it is within the limits."""
    truth = question.answer or ""
    most = PROSE.get(kind, VALUE)
    if len(truth) > most:
        return f"the ground truth is too long: {len(truth):,} characters, of the kind {kind} at most {most:,} are read"
    if kind not in PROSE and len(truth) > 50 and BLANKS.search(truth):
        return "the ground truth is torn apart by more than 50 blanks"
    if len(question.choices) > OPTIONS:
        return f"the ground truth is one of {len(question.choices):,} options, and at most {OPTIONS:,} are read"
    if any(len(option) > OPTION for option in question.choices):
        return f"the ground truth is among options of which one has more than {OPTION:,} characters"
    if question.precision is not None and not 0 <= question.precision <= DECIMALS:
        return f"the ground truth is compared at 0 to {DECIMALS} decimals (`precision`), not at {question.precision}"
    return None
