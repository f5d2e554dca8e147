"""Fractions and mixed numbers: equal values are equal (2/4 is 1/2, 1.5 is 1 1/2); a rounded decimal is not 1/3."""

import re
from fractions import Fraction

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds import number
from mixpo.verdicts.kinds.number import comparable, exact
from mixpo.verdicts.quantity import Quantity
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement

OUT_OF = re.compile(
    r"(?<![\d.,/])(\d+)(?: [^\W\d_]+)? (?:out of|in|of) (?:the |every |these |those )?(\d+)(?![\d.,/]\d|%)"
)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The fraction that a statement gives, also as "3 out of 4"."""
    found = list(OUT_OF.finditer(body.lower, statement.start, statement.end))
    if len(found) == 1 and int(found[0][2]):
        match = found[0]
        value = Fraction(int(match[1]), int(match[2]))
        return Reading(match.start(), match.end(), Quantity(match.start(), match.end(), value))
    return number.read(body, statement, question)


def right(reading: Reading, question: Question) -> bool:
    """Whether the values are the same, exactly."""
    pair = comparable(reading, question)
    return pair is not None and exact(*pair)
