"""Ratios: 2:8 is 1:4 and "1 to 4"; a ratio is not its inverse, and not one of its numbers."""

import re
from fractions import Fraction

from mixpo.number_words import SMALL
from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.mathematics.formula import parse
from mixpo.verdicts.mathematics.tree import NotAFormula
from mixpo.verdicts.mathematics.values import NoValue, value
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement, sentence_end
from mixpo.verdicts.words import in_reverse

PART = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(SMALL, key=len, reverse=True)) + ")"
RATIO = re.compile(
    rf"(?<![A-Za-z0-9_./])(?<!\d:){PART}(?:(?:\s*:\s*|\s+to\s+|\s*\\text\s*\{{\s*to\s*\}}\s*|\s*/\s*|\\s*\\colon\\s*){PART})+(?![\w:/]|\.\d)|\\[dt]?frac\s*\{{\d+\}}\s*\{{\d+\}}",
    re.IGNORECASE,
)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The ratio that a statement gives: the first after a mark, else the last."""
    text = body.text
    end = sentence_end(text, statement.start, statement.end) if statement.marked else statement.end
    found = [(match, value) for match in RATIO.finditer(text, statement.start, end) if (value := parts(match[0]))]
    if not found:
        return None
    if in_reverse(body.lower[statement.start : end], question.text.lower()):
        return Reading(statement.start, end, problem="the inverse ratio")
    if (
        statement.marked
        and len({value for _, value in found}) > 1
        and re.search(r"\bor\b", text[found[0][0].end() : found[1][0].start()])
    ):
        return Reading(statement.start, end, problem="several answers")
    match, value = found[0] if statement.marked else found[-1]
    return Reading(match.start(), match.end(), value)


def parts(text: str) -> tuple[Fraction, ...]:
    """The ratio's parts, scaled so that they sum to 1; empty when there are none or all are 0."""
    if "frac" in text:
        try:
            whole = value(parse(text))
        except (NoValue, NotAFormula):
            return ()
        found = [whole, Fraction(1)] if isinstance(whole, Fraction) else []
    else:
        found = [Fraction(SMALL.get(word.lower(), word)) for word in re.findall(PART, text, re.IGNORECASE)]
    total = sum(found, Fraction(0))
    return tuple(part / total for part in found) if total and len(found) > 1 else ()


def right(reading: Reading, question: Question) -> bool:
    """Whether the ratios are the same when reduced."""
    gold = parts(question.answer or "")
    if not gold:
        raise Undecided("the ground truth is no ratio")
    return bool(reading.value == gold)
