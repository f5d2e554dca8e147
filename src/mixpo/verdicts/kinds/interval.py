"""Intervals and ranges: 10-20, from 10 to 20, [2, 5), x > 3, 2 < x ≤ 5; brackets count where both sides have them."""

import re
from dataclasses import dataclass
from fractions import Fraction

from mixpo.records import Question
from mixpo.verdicts.body import Body, fold
from mixpo.verdicts.kinds import expression
from mixpo.verdicts.mathematics.compare import same
from mixpo.verdicts.mathematics.structure import ORDER, Bracketed, Mathematics, Relation, Several, Union, is_readable
from mixpo.verdicts.mathematics.structure import read as structure_of
from mixpo.verdicts.quantities import quantities_of
from mixpo.verdicts.quantity import as_fraction
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement, sentence_end

# Blanks only behind a sign, and few: where a search may begin with any number, its time grows with their square.
END = r"(?:[+-]\s{0,8})?(?:(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:/\d+)?|∞|\\infty|inf\b|infinity\b)"
INTERVAL = re.compile(
    rf"(?<![\d.,])(?:(?P<open>[\[(])\s*(?P<a>{END})\s*[,;]\s*(?P<b>{END})\s*(?P<close>[\])])"
    rf"|(?:between|from)?\s{{0,20}}\$?(?P<c>{END})\s*[%°]?\s*[a-z]{{0,6}}\s*(?:-+|~|to|and|through|至|到)\s*\$?(?P<d>{END})"
    rf"|(?P<e>{END})\s*(?P<left>[<≤]|\\leq?\b|<=)\s*[a-zA-Z]\s*(?P<right>[<≤]|\\leq?\b|<=)\s*(?P<f>{END})"
    rf"|[a-zA-Z]\s*(?P<sign>[<>]=?|[≤≥]|\\[lg]eq?\b)\s*(?P<g>{END}))",
    re.IGNORECASE,
)
DENIED = re.compile(r"(?:\bnot|n't|\bnever|\boutside(?: of)?|\bexcept|∉|\\notin)\s*\$?\s*$")
GOES_ON = re.compile(r"\s*(?:\\cup|∪|\^|\\setminus|∖|\bexcept\b|\bwithout\b|\bexcluding\b)")


@dataclass(frozen=True, slots=True)
class Interval:
    """Ends (None: unbounded) and whether they belong to it (None: not said)."""

    low: Fraction | None
    high: Fraction | None
    low_in: bool | None = None
    high_in: bool | None = None


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The interval that a statement gives, as mathematics or in words; behind a mark the first, else the last."""
    text = body.text
    end = sentence_end(text, statement.start, statement.end) if statement.marked else statement.end
    formula = expression.read(body, statement, question)
    if (
        formula
        and formula.value is not None
        and is_readable(formula.value)
        and _is_interval(structure_of(formula.value))
    ):
        return formula
    found = list(INTERVAL.finditer(text, statement.start, end))
    if not found:
        return None
    match = found[0] if statement.marked else found[-1]
    if DENIED.search(body.lower, max(statement.start, match.start() - 20), match.start()):
        return Reading(statement.start, end, problem="denied")
    if GOES_ON.match(body.text, match.end(), end):
        return Reading(statement.start, end, problem="a part of another set")
    return Reading(match.start(), match.end(), interval(match))


def _is_interval(part: Mathematics) -> bool:
    """Whether a structure is an interval, an inequality, or several of them."""
    if isinstance(part, Union | Several):
        return all(map(_is_interval, part.items))
    if isinstance(part, Relation):
        return set(part.signs) <= ORDER | {"≠", "∖"} or (len(part.sides) == 2 and _is_interval(part.sides[-1]))
    return isinstance(part, Bracketed) and not part.is_set


def interval(match: re.Match[str]) -> Interval:
    """What a match of `INTERVAL` says."""
    if match["a"]:
        return Interval(_end(match["a"]), _end(match["b"]), match["open"] == "[", match["close"] == "]")
    if match["c"]:
        return Interval(_end(match["c"]), _end(match["d"]))
    if match["e"]:
        return Interval(_end(match["e"]), _end(match["f"]), _closed(match["left"]), _closed(match["right"]))
    sign, value = match["sign"], _end(match["g"])
    if sign[0] in "<≤" or sign.startswith("\\l"):
        return Interval(None, value, None, _closed(sign))
    return Interval(value, None, _closed(sign), None)


def _closed(sign: str) -> bool:
    return sign in ("≤", "≥") or "=" in sign or "eq" in sign or sign in ("\\le", "\\ge")


def _end(text: str) -> Fraction | None:
    found = quantities_of(text)
    return as_fraction(found[0].value) if found and found[0].value is not None else None


def right(reading: Reading, question: Question) -> bool:
    """Whether both ends are the same, and whether they belong, where both say so. Raises Undecided."""
    answer = (question.answer or "").strip()
    match = INTERVAL.fullmatch(fold(answer))
    if isinstance(reading.value, str):
        in_words = match and match["c"]
        decided = None if in_words else same(answer, reading.value, question.text)
        said = INTERVAL.fullmatch(fold(reading.value).strip("$ ").replace("\\left", "").replace("\\right", ""))
        if match and in_words and said:
            return _same(interval(match), interval(said))
        if decided is None:
            raise Undecided("the intervals cannot be compared")
        return decided
    if match is None:
        raise Undecided("the ground truth is no interval")
    return _same(interval(match), reading.value)


def _same(gold: Interval, answer: Interval) -> bool:
    if (gold.low, gold.high) != (answer.low, answer.high):
        return False
    pairs = ((gold.low, gold.low_in, answer.low_in), (gold.high, gold.high_in, answer.high_in))
    return all(end is None or None in (said, asked) or said == asked for end, said, asked in pairs)
