"""Sums of money: currency sign, separators and trailing zeros aside; cents convert; another currency is wrong."""

from mixpo.records import Question
from mixpo.verdicts.kinds.decimal import right as decimal_right
from mixpo.verdicts.kinds.number import read
from mixpo.verdicts.reading import Reading

__all__ = ["read", "right"]

SIGNS = {"$": "usd", "\u20ac": "eur", "\u00a3": "gbp", "\u00a5": "yen", "\u20b9": "inr"}
NAMES = {
    "dollar": "usd",
    "euro": "eur",
    "pound": "gbp",
    "yen": "yen",
    "yuan": "yen",
    "rupee": "inr",
    "usd": "usd",
    "eur": "eur",
    "gbp": "gbp",
    "peso": "peso",
    "chf": "chf",
    "franc": "franc",
    "won": "won",
    "ruble": "rub",
    "real": "brl",
    "krona": "sek",
    "zloty": "pln",
    "hk$": "hkd",
    "ca$": "cad",
    "c$": "cad",
    "a$": "aud",
    "au$": "aud",
    "nz$": "nzd",
    "r$": "brl",
    "s$": "sgd",
}


def currency(text: str) -> str | None:
    """The currency that a text names, None when it names none."""
    lower = text.lower()
    # A sign with letters before it is another currency than the sign alone.
    for sign, code in (*sorted(NAMES.items(), key=lambda item: -len(item[0])), *SIGNS.items()):
        if sign in lower:
            return code
    return None


def right(reading: Reading, question: Question) -> bool:
    """Whether amount and currency (where both are stated) are the same."""
    quantity = reading.value
    said = currency(quantity.sign + quantity.unit)
    asked = currency(f"{question.answer} {question.unit or ''}")
    return (said is None or asked is None or said == asked) and decimal_right(reading, question)
