"""Decimals: equal when rounded, half up, to the precision that the question states or the ground truth shows."""

from mixpo.records import Question
from mixpo.verdicts.kinds.number import comparable, decimals_of, half_up, read
from mixpo.verdicts.reading import Reading

__all__ = ["read", "right"]


def right(reading: Reading, question: Question) -> bool:
    """Whether both numbers round to the same decimal."""
    pair = comparable(reading, question)
    if pair is None:
        return False
    decimals = decimals_of(question.answer or "") if question.precision is None else question.precision
    return half_up(pair[0], decimals) == half_up(pair[1], decimals)
