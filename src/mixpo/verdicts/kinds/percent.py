"""Percentages: 25 %, 25 and 25 percent are the same; 0.25 is it only where the answer carries no percent sign."""

from mixpo.records import Question
from mixpo.verdicts.kinds.decimal import right as decimal_right
from mixpo.verdicts.kinds.number import gold_quantity, read
from mixpo.verdicts.quantity import as_fraction
from mixpo.verdicts.reading import Reading

__all__ = ["read", "right"]


def right(reading: Reading, question: Question) -> bool:
    """Whether the percentages are the same at the ground truth's precision."""
    gold = gold_quantity(question.answer or "")
    quantity = reading.value
    if quantity.value is not None and quantity.form not in ("percent", "too large") and gold.value is not None:
        decimal_share = 0 < abs(as_fraction(quantity.value)) < 1 <= abs(as_fraction(gold.value))
        if decimal_share:
            reading = reading._replace(value=quantity._replace(value=quantity.value * 100, form="percent"))
    return decimal_right(reading, question)
