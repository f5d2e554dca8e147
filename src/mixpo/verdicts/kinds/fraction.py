"""Fractions and mixed numbers: equal values are equal (2/4 is 1/2, 1.5 is 1 1/2); a rounded decimal is not 1/3."""

from mixpo.records import Question
from mixpo.verdicts.kinds.number import comparable, exact, read
from mixpo.verdicts.reading import Reading

__all__ = ["read", "right"]


def right(reading: Reading, question: Question) -> bool:
    """Whether the values are the same, exactly."""
    pair = comparable(reading, question)
    return pair is not None and exact(*pair)
