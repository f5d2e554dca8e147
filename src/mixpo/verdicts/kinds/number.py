"""Single numbers: which number of a statement is the answer. What makes it right: `numeric`."""

import re
from fractions import Fraction
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.formula_quantities import whole_quantity
from mixpo.verdicts.kinds import date
from mixpo.verdicts.kinds.stance import content
from mixpo.verdicts.languages import ALONE_A_NUMBER, number_of
from mixpo.verdicts.number_context import counts_another
from mixpo.verdicts.quantities import lone_quantity, quantities
from mixpo.verdicts.quantity import HAS_NUMBER, Quantity, in_one_unit
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.stated_number import ABSENT, chosen_number
from mixpo.verdicts.statements import Statement, sentence_end
from mixpo.verdicts.turns import RESULTS
from mixpo.verdicts.words import stem

LOOKS_STEMS = frozenset(
    stem(word)
    for word in "red blue green yellow black white brown grey gray orange pink purple small large big little male "
    "female left right".split()
)
LABELLED = re.compile(r"\s{0,9}\|[^\n]{0,99}\d[^\n]{0,99}\||\s{0,9}[-*•]?\s{0,3}[^\W\d_][^:\n\d]{0,30}: {0,3}[$€£]?\d")
TOTALS = re.compile(r"total|answer|sum|result|final|count|in all|altogether|overall|therefore|so\b")
THING = re.compile(r"(?: of the)?((?: [^\W\d_]+){1,2})")
NO_THINGS = re.compile(r"\s*(no) (?!answer|idea|information|data|comment|doubt|way|clue|image|solution|option)\w")
NUMBERING = re.compile(r"\s*(?:\(?\d{1,2}[.)]|[*•])\s+(?=\S)")
EXPLAINS = re.compile(
    r"\s*\(?(?:that is|that means|i\.e\.|in other words|they|these|those|(?:one|two|three|some|most|all"
    r"|both|each|none) of (?:them|these|those|which)"
    r"|of (?:these|them|those)|among (?:them|these)|because|since|this is because|for example|here|note)\b"
    r"|\s*(?:そのうち|其中|它们|그중|de (?:los|las) cuales|dont|davon|di cui|dos quais|из них|उनमें)"
)
"""How a sentence begins that explains the answer before it."""
REASONED = re.compile(
    r"\s*(?:because|since)\b[^.\n]*, [^.,\n]*(?:=|\bis\b|\bare\b)[^.,\n]*\d"
    r"|\s*(?:because|since) (?:the \w+ )?\d+[^.,\n]*, (?:it|this|that)(?:'s| is) "
)
"""A reason and then the answer: "Since a length is positive, x = 5"."""
YEAR = re.compile(r"\b(?:what|which|in)\b[^?]{0,40}\byears?\b|哪一?年", re.IGNORECASE)


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The number that a statement gives as its answer; its value is a `Quantity`. None when it has no number."""
    text, lower, start, end = body.text, body.lower, statement.start, statement.end
    if lone := lone_quantity(body, start, end):
        return Reading(lone.start, lone.end, lone)
    if statement.strict and (word := lower[start:end].strip(" \t\n.!*:")) in ALONE_A_NUMBER:
        return Reading(start, end, Quantity(start, end, number_of(word), "word"))
    if statement.rule in ("marker", "phrase", "heading"):
        end = sentence_end(text, start, end)
    if statement.rule in ("box", "tag", "json") and (whole := whole_quantity(body, start, end)):
        return Reading(whole.start, whole.end, whole)
    if (
        not statement.marked
        and (numbered := NUMBERING.match(text, start, end))
        and HAS_NUMBER.search(text, numbered.end(), end)
    ):
        start = numbered.end()
    refused = refuses(lower, start, end, question.text)
    if refused and not statement.marked:
        return Reading(start, end, problem="refused")
    if (year := _year(text, start, end, question)) is not None:
        return year
    if statement.rule in ("first", "direct", "line"):
        edge = sentence_end(text, start, end)
        several = edge < end - 1  # sentences: the last ones are read one by one
        if several or statement.rule == "first":
            head = next(quantities(body, start, end), None)
            alone = head is not None and _alone(text, start, edge if several else end, head)
            if several or not alone:
                return Reading(head.start, head.end, head) if head and alone else None
    if statement.rule in ("line", "last") and _is_labelled(text, body.start, start, end, question.text):
        # one of several, each with its own label
        return None if statement.rule == "line" else Reading(start, end, problem="parts without a total")
    if (
        not statement.marked
        and (colon := text.rfind(": ", start, end)) > 0
        and (lone := lone_quantity(body, colon + 1, end))
    ):
        return Reading(lone.start, lone.end, lone)
    if statement.rule == "last" and EXPLAINS.match(lower, start, end) and (turn := RESULTS.search(lower, start, end)):
        start = turn.end()  # "One of them is lying, so only 1 is sitting."
    if statement.rule == "last" and EXPLAINS.match(lower, start, end) and not REASONED.match(lower, start, end):
        return None
    found = in_one_unit(body, list(quantities(body, start, end)))
    if not found:
        absent = ABSENT.search(lower, start, end) or (NO_THINGS.match(lower, start, end) if statement.strict else None)
        if absent and not _is_of_another(lower, absent.end(absent.lastindex or 0), end, question.text):
            left, right = absent.span(absent.lastindex or 0)
            return Reading(left, right, Quantity(left, right, Fraction(0), "word"))
        return Reading(start, end, problem="refused") if refused else None
    missing = ABSENT.search(lower, start, found[0].start)
    if missing and all(counts_another(body, quantity.end, question.text) for quantity in found):
        left, right = missing.span(missing.lastindex or 0)  # "There are no dogs, only two cats."
        if counts_another(body, right, question.text) is False:
            return Reading(left, right, Quantity(left, right, Fraction(0), "word"))
    return chosen_number(body, statement._replace(start=start, end=end), found, question)


def _alone(text: str, start: int, end: int, quantity: Quantity) -> bool:
    """Whether a sentence is the number and nothing else, a unit aside."""
    before, after = text[start : quantity.start].strip(" \t\n\"'*$:("), text[quantity.end : end].strip(" \t\n\"'*$.)")
    return not before and len(after.split()) <= 2 and not any(character.isdigit() for character in after)


def _year(text: str, start: int, end: int, question: Question) -> Reading | None:
    """The year of a full date, when a year is asked for."""
    if not _asks_for_year(question.text, question.answer or ""):
        return None
    for match in date.DATE.finditer(text, start, end):
        day = date.day_of(match)
        if day and day.year and day.day:
            at = text.find(str(day.year), match.start(), match.end())
            if at >= 0:
                return Reading(at, at + 4, Quantity(at, at + 4, Fraction(day.year)))
    return None


@lru_cache(maxsize=4096)
def _asks_for_year(asked: str, answer: str) -> bool:
    return YEAR.search(asked) is not None and re.fullmatch(r"\d{4}", answer.strip()) is not None


def _is_labelled(text: str, first: int, start: int, end: int, asked: str) -> bool:
    """Whether a line "Right: 4" follows one of the same shape, and is neither a total nor what is asked for."""
    before = text[text.rfind("\n", first, max(first, start - 1)) + 1 : max(first, start - 1)]
    own, other = LABELLED.match(text[start:end]), LABELLED.match(before)
    if not (own and other) or TOTALS.search(text[start:end].lower()):
        return False
    return not set(content(text[start:end].split(":")[0].lower())) & set(content(asked.lower()))


def _is_of_another(lower: str, at: int, end: int, asked: str) -> bool:
    """Whether what is said to be absent is another thing than the question's: "no red apples" for green ones."""
    told = {stem(word) for word in re.findall(r"[^\W\d_]+", asked.lower())}
    thing = THING.match(lower, at, end) if len(told) > 2 else None
    named = [stem(word) for word in thing[0].split()] if thing else []
    return (
        "fewer" in named
        or ("question" in named)
        or (bool(named) and any(word in LOOKS_STEMS for word in named if word not in told))
    )
