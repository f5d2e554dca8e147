"""Integers: exact, "5.0" is 5, "5.2" is not; separators, words and scale words are read."""

from mixpo.records import Question
from mixpo.verdicts.kinds.number import comparable, exact, read
from mixpo.verdicts.reading import Reading

__all__ = ["read", "right"]


def right(reading: Reading, question: Question) -> bool:
    """Whether the number is the ground truth's, exactly."""
    pair = comparable(reading, question)
    return pair is not None and exact(*pair)
