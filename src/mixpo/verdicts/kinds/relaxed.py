"""Relaxed accuracy, ChartQA's metric (arXiv 2203.10244, section 4.1): numbers within 5 %, years and words exact."""

import re
from fractions import Fraction

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import number, text
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement

TOLERANCE = Fraction(5, 100)


def _numeric(question: Question) -> bool:
    try:
        return number.gold_quantity(question.answer or "").value is not None
    except Undecided:
        return False


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """A number where the ground truth is one, else words."""
    return (number if _numeric(question) else text).read(body, statement, question)


def right(reading: Reading, question: Question) -> bool:
    """Within 5 % of the ground truth; a year, and a ground truth of 0, must be met exactly."""
    if not _numeric(question):
        return text.right(reading, question)
    pair = number.comparable(reading, question)
    if pair is None:
        return False
    answer, truth = pair
    gold = number.gold_quantity(question.answer or "")
    if gold.form == "percent" and reading.value.form != "percent" and 0 < abs(answer) < 1 <= abs(truth):
        answer *= 100
    if re.fullmatch(r"(?:1[5-9]|20)\d\d", (question.answer or "").strip()):
        return answer == truth
    return abs(answer - truth) <= TOLERANCE * abs(truth)
