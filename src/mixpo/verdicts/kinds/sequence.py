"""Lists: ordered (LIST) and not (SET); every element once, none missing, none added."""

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.kinds.text import plain
from mixpo.verdicts.quantities import as_fraction, quantities, quantities_of
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement, sentence_end

Element = Fraction | str
BRACKETS = re.compile(r"[\[({]\s*([^\[\](){}\n]{1,500}?)\s*[\])}]")
SEPARATOR = re.compile(r"\s*(?:,\s*(?:and|or)\b|,|;|\band\b|&|、|和|与)\s*", re.IGNORECASE)
VERB = re.compile(r"\b(?:is|are|was|were|be|between|include|includes|contains?|follows)\b:?|[:是为=]", re.IGNORECASE)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The elements that a statement lists, in order."""
    text, start, end = body.text, statement.start, statement.end
    if not statement.marked and refuses(body.lower, start, end):
        return Reading(start, end, problem="refused")
    brackets = list(BRACKETS.finditer(text, start, end))
    if brackets:
        match = brackets[0] if statement.marked else brackets[-1]
        return Reading(match.start(), match.end(), elements(match[1]))
    if statement.rule not in ("box", "tag"):
        end = sentence_end(text, start, end)
    if not statement.marked:
        verbs = list(VERB.finditer(text, start, end))
        start = verbs[-1].end() if verbs else start
    inside = text[start:end].strip(" \t\n.*\"'$:")
    if not inside:
        return None
    at = text.index(inside, start)
    if all(isinstance(element, Fraction) for element in gold_elements(question.answer or "")):
        found = [quantity for quantity in quantities(body, at, at + len(inside)) if quantity.value is not None]
        if not found:
            return None
        return Reading(
            found[0].start,
            found[-1].end,
            tuple(as_fraction(quantity.value) for quantity in found if quantity.value is not None),
        )
    return Reading(at, at + len(inside), elements(inside))


def elements(text: str) -> tuple[Element, ...]:
    """The parts of a list, numbers as numbers and words as plain words."""
    return tuple(_element(part) for part in SEPARATOR.split(text.strip(" [](){}.")) if part.strip(" \"'*$."))


def _element(text: str) -> Element:
    found = quantities_of(text)
    alone = (
        len(found) == 1
        and found[0].value is not None
        and not (text[: found[0].start] + text[found[0].end :]).strip(" \"'*$.%°")
    )
    return as_fraction(found[0].value) if alone and found[0].value is not None else plain(text)


@lru_cache(maxsize=16384)
def gold_elements(answer: str) -> tuple[Element, ...]:
    """The ground truth's elements, with or without brackets and quotes."""
    return elements(answer)


def right(reading: Reading, question: Question) -> bool:
    """Whether the elements are the same, in the same order unless the kind is SET."""
    gold = gold_elements(question.answer or "")
    if question.kind is AnswerKind.SET:
        return Counter(reading.value) == Counter(gold)
    return bool(reading.value == gold)
