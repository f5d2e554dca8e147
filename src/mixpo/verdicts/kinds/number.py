"""Integers, decimals and other single numbers: which number of a statement is the answer, and whether it is right."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.quantities import Quantity, as_fraction, quantities
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import SENTENCE_END, Statement

ASIDE = re.compile(
    r"(?:,|;)\s*(?:which|because|since|as|so that|where|with|given|when|if|or (?:simplified|about))\b|\b(?:because|since|than|given that)\b|\s\("
    r"|\b(?:after|when|if)\b(?= (?:you|we|subtract|the|all|remov))",
    re.IGNORECASE,
)
COPULA = re.compile(
    r"\b(?:is|are|was|were|be|equals?|equal to|has|have|had|totals?|shows?|gives?|get|leaves?|left with|remains?|costs?|"
    r"there(?:'s| is| are| will be| would be)|becomes?|contains?|reads?|measures?|makes?)\b|[=≈是为有]",
    re.IGNORECASE,
)
ABSENT = re.compile(r"\b(?:there (?:are|is|will be|would be|were)|leaves?|left with|have|has)\s+(?:\w+\s+)?no\s+(?!doubt|way|need|information|data|clear)", re.IGNORECASE)
HEDGE = re.compile(r"\s*(?:,|,? ?\bor\b|/|\band\b|,? and)\s*$", re.IGNORECASE)
REFUSAL = re.compile(
    r"\b(?:can(?:'|no)t|cannot|could not|unable|impossible|not possible|insufficient|not enough|don't have|do not have|"
    r"doesn't|does not (?:provide|contain|give|include|specify|show|mention)|not (?:provided|given|specified|available|clear)|"
    r"cannot be|no information|need more|undetermined|N/A|unknown)\b",
    re.IGNORECASE,
)


def read(text: str, statement: Statement, question: Question) -> Reading | None:
    """The number that a statement gives as its answer; None when it has none."""
    start, end = statement.start, statement.end
    if statement.rule in ("marker", "phrase", "json"):
        end = _sentence_end(text, start, end)
    found = list(quantities(text, start, end))
    if not statement.explicit and REFUSAL.search(text, start, end):
        return Reading(start, end, problem="refused")
    if not found:
        absent = ABSENT.search(text, start, end)
        return Reading(absent.start(), absent.end(), Quantity(absent.start(), absent.end(), Fraction(0), "word")) if absent else None
    chosen = _explicit(text, start, end, found) if statement.explicit or statement.rule == "direct" else _stated(text, start, end, found)
    return Reading(chosen.start, chosen.end, chosen) if isinstance(chosen, Quantity) else Reading(start, end, problem=chosen)


def _sentence_end(text: str, start: int, end: int) -> int:
    match = SENTENCE_END.search(text, start, end)
    while match and not text[start : match.start()].strip():
        match = SENTENCE_END.search(text, match.end(), end)
    return match.start() if match else end


def _explicit(text: str, start: int, end: int, found: Sequence[Quantity]) -> Quantity | str:
    """After a marker the first number is meant, or the last of a chain of equals signs; several are no answer."""
    chosen = found[0]
    for following in found[1:]:
        between = text[chosen.end : following.start].strip()
        if between in ("=", "≈", "\\approx", "\\approx $", "$=") or re.fullmatch(r"[^.;,]{0,30}[=≈]\$?", between):
            chosen = following
        elif HEDGE.fullmatch(between):
            return "several answers"
        else:
            break
    return chosen


def _stated(text: str, start: int, end: int, found: Sequence[Quantity]) -> Quantity | str:
    """In a sentence: after the last equals sign, else the first number after the verb of the main clause."""
    equals = max(text.rfind("=", start, end), text.rfind("≈", start, end))
    if equals >= 0 and (after := [q for q in found if q.start > equals]):
        return _explicit(text, equals, end, after)
    aside = ASIDE.search(text, start, end)
    main = [q for q in found if aside is None or q.start < aside.start()] or found
    verbs = [match.end() for match in COPULA.finditer(text, start, main[-1].start)]
    for verb in reversed(verbs):
        after = [q for q in main if q.start >= verb]
        if after:
            return _explicit(text, verb, end, after)
    return main[-1]


def right(reading: Reading, question: Question) -> bool:
    """Whether the number read equals the ground truth, at the precision that the kind asks for."""
    quantity: Quantity = reading.value
    if quantity.form == "too large":
        raise Undecided("a number beyond all limits")
    if quantity.value is None:
        return False
    gold, decimals = gold_number(question.answer or "", question.precision, question.kind)
    value = as_fraction(quantity.value)
    if isinstance(quantity.value, float):
        value = value.limit_denominator(10**12)
    if decimals is None:
        return abs(value - gold) <= Fraction(1, 10**9) * max(1, abs(gold)) if isinstance(quantity.value, float) else value == gold
    return half_up(value, decimals) == half_up(gold, decimals)


def half_up(value: Fraction, decimals: int) -> int:
    """Rounded to so many decimals, halves away from zero, in units of the last one."""
    scaled = abs(value) * 10**decimals + Fraction(1, 2)
    return (1 if value >= 0 else -1) * (scaled.numerator // scaled.denominator)


@lru_cache(maxsize=65536)
def gold_number(answer: str, precision: int | None, kind: AnswerKind | None) -> tuple[Fraction, int | None]:
    """The ground truth's value, and the decimals to which an answer is rounded (None: exactly)."""
    found = list(quantities(answer, 0, len(answer)))
    if len(found) != 1 or found[0].value is None:
        raise Undecided("the ground truth is no number")
    value = as_fraction(found[0].value)
    if kind is AnswerKind.INTEGER:
        return value, None
    if precision is None:
        digits = re.search(r"\.(\d+)", answer)
        precision = len(digits[1]) if digits and kind is AnswerKind.DECIMAL else None
    return value, precision
