"""Single numbers: which number of a statement is the answer. What makes it right is the kind's own file."""

import re
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import cast

from mixpo.records import Question
from mixpo.verdicts.arithmetic import Value
from mixpo.verdicts.body import Body, lowered
from mixpo.verdicts.kinds import date
from mixpo.verdicts.quantities import Quantity, lone_quantity, quantities, quantities_of
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement, sentence_end
from mixpo.verdicts.units import conversion

ASIDE = re.compile(
    r"(?:,|;)\s*(?:which|because|since|as|so that|where|with|given|when|if|but|compared|or (?:simplified|about))\b"
    r"|\b(?:because|since|than|given that|out of)\b|\s\(|\b(?:after|when|if)\b(?= (?:you|we|subtract|the|all|remov))"
)
RESULT = re.compile(
    r"\b(?:so|thus|therefore|hence|(?:which|that|this) (?:gives(?: us)?|equals|is equal to"
    r"|leaves(?: us with)?|results in|makes|comes to|totals)|"
    r"resulting in|giving(?: us)?|leaving|for a total of|but (?:it|that|the (?:correct|actual|real"
    r"|right) \w+) (?:is|was)|making (?:a total of|it)|to get|we get|rounded to|simplif\w+ to)\b"
)
COPULA = re.compile(
    r"\b(?:is|are|was|were|be|equals?|equal to|has|have|had|totals?|shows?|gives?|get|leaves?|left with"
    r"|remains?|costs?|"
    r"becomes?|contains?|reads?|measures?|makes?|rose by|fell by|need|needs|sold|bought|scored)\b|\bthere's\b"
    r"|[=≈是为有]"
)
ABSENT = re.compile(
    r"\b(?:there (?:are|is|will be|would be|were)|there's|leaves?|left with|have|has)\s+(?:\w+\s+){0,2}?(no)\s+"
    r"(?!doubt|way|need|information|data|clear|answer|solution|option)\w|\b(none|zero)\b(?! of)"
)
HEDGE = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}?[^\W\d]*\s*\(?(?:,? ?\bor\b|,|/|&|~|,? ?\band\b|\bto\b|和|或)\s*(?:about "
    r"|maybe |perhaps |possibly |even )?\s*"
)
LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mbox)\s*\{|[{}\\$]")
BOUND = re.compile(
    r"\b(?:(?:more|less|fewer|greater|higher|lower|larger|smaller) than|at (?:least|most)|over|under|above"
    r"|below|up to|almost|nearly)\s+[$(]*$|[<>≤≥]\s*\$?$"
)
SUBJECT = re.compile(r"\s*(?:\w+\s+)?(?:is|are) (?:the|our|my)\b")
LEADING = re.compile(
    r"\s*(?:after|when|if|in|from|of|by|with|since|because|as|given|for|out of|subtracting|adding)\b[^,]*,\s"
)
DENIED = re.compile(r"(?:\bnot|n't|\bnever|\bisn't|不是)\s*(?:be\s+|equal to\s+)?[$(]*$")
NO_THINGS = re.compile(r"\s*(no) (?!answer|idea|information|data|comment|doubt|way|clue|image|solution|option)\w")
CHAINED = re.compile(
    r"[^.;,\n]{0,40}[=≈]\s*\$?|\s*\\approx\s*\$?|[^.;,\n]{0,20}\b(?:which is|that is|i\.e\.|or about"
    r"|or approximately)\s*(?:equal to )?\$?\s*"
)
YEAR = re.compile(r"\b(?:what|which|in)\b[^?]{0,40}\byears?\b|哪一?年", re.IGNORECASE)
BLANK = re.compile(r"\(_+\)\s+(\w[^.?!\n(]*\w)")
BOUNDS = re.compile(r"\b(?:between|from|ranges?)\b[^.\n]{0,40}$")


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The number that a statement gives as its answer; its value is a `Quantity`. None when it has no number."""
    text, lower, start, end = body.text, body.lower, statement.start, statement.end
    if lone := lone_quantity(body, start, end):
        return Reading(lone.start, lone.end, lone)
    if statement.rule in ("marker", "phrase", "heading"):
        end = sentence_end(text, start, end)
    refused = refuses(lower, start, end)
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
    found = list(quantities(body, start, end))
    if not found:
        absent = ABSENT.search(lower, start, end) or (NO_THINGS.match(lower, start, end) if statement.strict else None)
        if absent:
            left, right = absent.span(absent.lastindex or 0)
            return Reading(left, right, Quantity(left, right, Fraction(0), "word"))
        return Reading(start, end, problem="refused") if refused else None
    found = _counting(found) if len(found) > 1 else found
    kept = [
        quantity for quantity in found if not DENIED.search(lower[max(start, quantity.start - 20) : quantity.start])
    ]
    if not kept:
        return Reading(start, end, problem="denied")
    found = kept
    if (filled := _filled(lower, end, found, question)) is not None:
        return Reading(filled.start, filled.end, filled)
    absent = None if statement.marked else ABSENT.search(lower, start, kept[0].start)
    if absent and all(BOUND.search(lower[max(start, quantity.start - 20) : quantity.start]) for quantity in kept):
        left, right = absent.span(absent.lastindex or 0)  # "there are no bars smaller than 0"
        return Reading(left, right, Quantity(left, right, Fraction(0), "word"))
    bare = statement.marked or (
        statement.rule in ("direct", "line")
        and not (COPULA.search(lower, start, end) or RESULT.search(lower, start, end))
    )
    chosen = _marked(body, start, found) if bare else _stated(body, start, end, found)
    if isinstance(chosen, str):
        return Reading(start, end, problem=chosen)
    if BOUND.search(lower[max(start, chosen.start - 20) : chosen.start]):
        return Reading(start, end, problem="a bound")
    return Reading(chosen.start, chosen.end, chosen)


def _alone(text: str, start: int, end: int, quantity: Quantity) -> bool:
    """Whether a sentence is the number and nothing else, a unit aside."""
    before, after = text[start : quantity.start].strip(" \t\n\"'*$:("), text[quantity.end : end].strip(" \t\n\"'*$.)")
    return not before and len(after.split()) <= 2 and not any(character.isdigit() for character in after)


def _counting(found: list[Quantity]) -> list[Quantity]:
    """Without ordinals and the word "one" where another number stands: "the second one of 3"."""
    firm = [
        quantity
        for quantity in found
        if quantity.form not in ("ordinal", "word") or (quantity.form == "word" and quantity.value != 1)
    ]
    cardinal = [quantity for quantity in found if quantity.form != "ordinal"]
    if firm and any(quantity.form != "word" for quantity in firm):
        return firm
    after_ordinal = cardinal and len(cardinal) < len(found) and all(quantity.value == 1 for quantity in cardinal)
    return found if after_ordinal else cardinal or found


@lru_cache(maxsize=4096)
def _after_blank(asked: str) -> str | None:
    blank = BLANK.search(asked)
    return " ".join(blank[1].lower().split()) if blank else None


def _filled(lower: str, end: int, found: Sequence[Quantity], question: Question) -> Quantity | None:
    """The number before the words that follow the question's blank: "There are (_) dots in each group."."""
    words = _after_blank(question.text)
    if words is None:
        return None
    after = (" ".join(lower[quantity.end : min(end, quantity.end + 200)].split()) for quantity in found)
    fitting = [quantity for quantity, said in zip(found, after) if re.match(rf"{re.escape(words)}\b", said)]
    return fitting[0] if len(fitting) == 1 else None


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


def _marked(body: Body, start: int, found: Sequence[Quantity]) -> Quantity | str:
    """After a mark the first number is meant, or the last of a chain of equals signs; several are no answer."""
    chosen = found[0]
    for following in found[1:]:
        between = LATEX_TEXT.sub("", body.text[chosen.end : following.start])
        if CHAINED.fullmatch(between):
            chosen = following
        elif HEDGE.fullmatch(lowered(between)) and following.value != chosen.value:
            return "several answers"
        else:
            break
    if len(found) > 1 and BOUNDS.search(body.lower[start : chosen.start]):
        return "a range"
    return chosen


def _stated(body: Body, start: int, end: int, found: Sequence[Quantity]) -> Quantity | str:
    """In a sentence: after the last equals sign, after "so" or "which gives", else after the main verb."""
    lower = body.lower
    equals = max(lower.rfind("=", start, end), lower.rfind("≈", start, end))
    results = [match.end() for match in RESULT.finditer(lower, start, end)]
    for edge in sorted((edge for edge in (equals, *results) if edge > start), reverse=True):
        after = [quantity for quantity in found if quantity.start >= edge]
        if after:
            found, start = after, edge
            break
    if SUBJECT.match(lower, found[0].end, end) and not lower[start : found[0].start].strip(" ,*$"):
        return found[0]
    if (clause := LEADING.match(lower, start, end)) and (after := [q for q in found if q.start >= clause.end()]):
        found, start = after, clause.end()
    aside = ASIDE.search(lower, start, end)
    main = [quantity for quantity in found if aside is None or quantity.start < aside.start()] or found
    verbs = [match.end() for match in COPULA.finditer(lower, start, main[-1].start)]
    for verb in reversed(verbs):
        after = [quantity for quantity in main if quantity.start >= verb]
        if after:
            return _marked(body, verb, after)
    if start == equals:
        return _marked(body, start, main)
    several = (
        len(main) > 1 and HEDGE.fullmatch(lower[main[-2].end : main[-1].start]) and main[-2].value != main[-1].value
    )
    return "several answers" if several else main[-1]


@lru_cache(maxsize=65536)
def gold_quantity(answer: str) -> Quantity:
    """The number that the ground truth is. Raises Undecided when it is none."""
    found = quantities_of(answer)
    if len(found) != 1 or found[0].value is None:
        raise Undecided("the ground truth is no single number")
    return found[0]


def comparable(reading: Reading, question: Question) -> tuple[Fraction, Fraction] | None:
    """The answer's and the ground truth's values in the same unit and scale; None: it is no single number."""
    quantity: Quantity = reading.value
    if quantity.form == "too large":
        raise Undecided("a number beyond all limits")
    gold = gold_quantity(question.answer or "")
    if quantity.value is None or gold.value is None:
        return None
    answer, truth = _rational(quantity.value), _rational(gold.value)
    if quantity.scale > 1 and gold.scale == 1 and _asks_for_scale(quantity, question):
        answer = Fraction(answer, quantity.scale)
    if quantity.form == "percent" and gold.form != "percent" and 0 < abs(truth) < 1 and abs(answer) > abs(truth) * 10:
        answer = Fraction(answer, 100)  # 25 % for 0.25; for a ground truth of 25 the percent sign is the unit
    factor = conversion(quantity.unit, gold.unit or question.unit or "")
    if factor is None:
        return None
    return (answer if factor == 1 else answer * factor), truth


def _rational(value: Value) -> Fraction:
    """The exact value. A whole number stays an `int`, which can all that a fraction can and compares much faster."""
    return Fraction(value) if isinstance(value, float) else cast(Fraction, value)


def _asks_for_scale(quantity: Quantity, question: Question) -> bool:
    """Whether the question asks for millions, so that "3.5 million" means 3.5."""
    asked = f"{question.text} {question.unit or ''}".lower()
    names = {10**3: "thousand", 10**6: "million", 10**9: "billion", 10**12: "trillion"}
    return quantity.scale in names and names[quantity.scale] in asked


def exact(answer: Fraction, truth: Fraction) -> bool:
    """Equality up to what floating point loses in roots and π."""
    if answer == truth:
        return True
    if answer.denominator.bit_length() < 20:  # only roots and π leave long denominators
        return False
    return abs(answer - truth) <= abs(truth) * Fraction(1, 10**12)


def decimals_of(answer: str) -> int:
    """The decimals that a ground truth shows: 2 for "1,234.50", 0 for "7"."""
    digits = re.search(r"\.(\d+)(?!.*\.\d)", answer)
    return len(digits[1]) if digits else 0


def half_up(value: Fraction, decimals: int) -> int:
    """Rounded to so many decimals, halves away from zero, in units of the last one."""
    scaled = abs(value) * 10**decimals + Fraction(1, 2)
    return (1 if value >= 0 else -1) * (scaled.numerator // scaled.denominator)


def right(reading: Reading, question: Question) -> bool:
    """Whether the number is the ground truth's: exactly, or at the question's precision where it states one."""
    pair = comparable(reading, question)
    if pair is None:
        return False
    if question.precision is not None:
        return half_up(pair[0], question.precision) == half_up(pair[1], question.precision)
    return exact(*pair)
