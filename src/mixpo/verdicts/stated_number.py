"""Which of a statement's numbers is its answer: behind a mark the first, in a sentence what it says it comes to."""

import re
from collections.abc import Sequence
from fractions import Fraction

from mixpo.records import Question
from mixpo.verdicts.body import Body, lowered
from mixpo.verdicts.languages import one_of
from mixpo.verdicts.nearest import nearest
from mixpo.verdicts.number_context import answering, counting, counts_another, filled_blank
from mixpo.verdicts.quantity import Quantity
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement
from mixpo.verdicts.turns import DECIDES, PROVISIONAL
from mixpo.verdicts.units import unit_of

ABSENT = re.compile(
    r"\b(?:there (?:are|is|will be|would be|were)|there's|leaves?|left with|have|has)\s+(?:\w+\s+){0,2}?(no)\s+"
    r"(?!doubt|way|need|information|data|clear|answer|solution|option)\w|\b(none|zero)\b(?! of)|\b(none) "
    r"of the (?!above|options|choices|answers|given|following)"
    r"|^\W*(nobody|no one|nothing)\b|(?:n't|\bnot) (?:see |have |contain |find |show )?(any)\b"
    rf"|({one_of('absent')})"
)
ASIDE = re.compile(
    r"(?:,|;)?\s*\(?\b(?:i\.e\.|in other words|namely|e\.g\.)|(?:,|;)\s*(?:that is|meaning|which|because"
    r"|since|as|so that|where|with|given|when|if|but|compared|or (?:simplified|about))\b"
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
HEDGE = re.compile(
    r"\s*(?:[^\W\d]+\s+){0,2}?[^\W\d]*\s*\(?(?:,? ?\bor\b|,|/|&|~|,? ?\band\b|\bto\b|和|或|\bou\b|\boder\b"
    r"|\bили\b|\bo\b|または|또는|->|→|=>|, no, |\bvs\.?)\s*(?:about "
    r"|maybe |perhaps |possibly |even )?\s*"
)
LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mbox)\s*\{|[{}\\$]")
BOUND = re.compile(
    r"\b(?:(?:more|less|fewer|greater|higher|lower|larger|smaller) than|at (?:least|most)|over|under|above"
    r"|below|up to|almost|nearly|casi|presque|fast|quasi|quase|почти|mehr als|weniger als|plus de|moins de"
    r"|más de|menos de|approaching|no (?:more|less|fewer) than|a minimum of|a maximum of|beyond|exceed\w*"
    r"|in excess of|upwards of|at the very (?:least|most)|hardly"
    r"|mindestens|höchstens|über|unter"
    r"|al menos|como (?:mínimo|máximo)|más de|menos de|au moins|au plus|plus de|moins de|almeno|al massimo"
    r"|più di|meno di|pelo menos|no máximo|mais de"
    r"|не менее|не более|больше|меньше|более|менее|минимум|максимум)\s+[$€£¥(]*$|(?:[<>≤≥]=?"
    r"|\\[gl]eq?(?:slant)?|\\[gl]t|\\equiv|\\propto|[≡∝]|(?:greater|less|more|fewer) than or equal to)\s*\$?$"
    r"|(?:至少|最多|超过|不到|少なくとも|最大|最低|최소|최대|적어도)\s*$"
)
SUBJECT = re.compile(r"\s*(?:\w+\s+)?(?:is|are) (?:the|our|my)\b")
LEADING = re.compile(
    r"\s*(?:after|when|if|in|from|of|by|with|since|because|as|given|for|out of|subtracting|adding)\b[^,]*,\s"
)
DENIED = re.compile(
    r"(?:\bnot|n't|\bnever|\bisn't|不是|n'est pas|ne sont pas|\bnicht|\bno (?:es|son|hay)|\bnon (?:è|sono)"
    r"|\bnão (?:é|são|há)|\bне|\banything but|\bfar from|\bunlikely(?: to be)?|\ball but|\bexcept"
    r"|\binstead of|\brather than)\s*(?:be |equal to |show |read |have |give |quite |exactly |say "
    r"|really |on |in |at |equal |amount to |cost |measure ){0,3}[$(]*$"
)
CHAINED = re.compile(
    r"[^.;,\n]{0,40}[=≈]\s*\$?|\s*\\approx\s*\$?|[^.;,\n]{0,20}\b(?:which is|that is|i\.e\.|or about"
    r"|or approximately)\s*(?:equal to )?\$?\s*"
)
BUT_VALUE = re.compile(
    r"\bbut (?:really |actually |in fact )?(?:it's|it is|i count|i see|there are|there is|we have|the "
    r"(?:image|picture|photo|figure|chart|actual|correct|real|right)[^.;,\d]{0,30})\b"
)
OTHERWISE = re.compile(r"\b(?:otherwise|or else|if not|unless)\b")
TOTAL = re.compile(r"(?: [^\W\d_]+){0,3},? (?:in all|in total|altogether|all together|overall|combined)\b")
TOTAL_OF = re.compile(r"\b(?:a total of|in total,?|altogether,?|total:|making|for a total of)\s*$")
RESTATED = re.compile(r"[^.;,]{0,24},? (?:i\.e\.|that is|in other words|meaning),? (?:about |[$€£])?")
ENDS_THERE = re.compile(r"(?: [^\W\d_]+){0,2}\s*(?:[,.;(]|$|- |\b(?:because|since|as|which)\b)")
ALTERNATIVE = re.compile(
    r"[°%]?(?: [^\W\d_]+){0,2},? \(?or (?:maybe |perhaps |possibly |even |else )?(?!about|approximately|roughly"
    r"|equivalently)(?:about |[$€£])?"
)
WAS = re.compile(r"\b(?:at first|first|initially|whether|either 0|could be)\b")
RANGE_BETWEEN = re.compile(
    r"\s*[°%]?(?: [^\W\d_]+)? ?(?:and|to|until|through|up to|-|–|و ?|y|et|und|e|и|bis|a|à|до)\s*(?:about )?[$€£]?"
)
RANGE_BEFORE = re.compile(
    r"\b(?:between|from|somewhere in|ranges?|ranging|بين|entre|zwischen|tra|fra|de|von|между"
    r"|от)\s+(?:about |from |between )?[$€£]?$"
)
PARTS = re.compile(
    r"[^.;,=]{0,40}? (?:on|in|at|to|near|by|behind|under|above|below|from|of) [^.;,=\d]{2,30},?(?: and)? "
)
PLACE = re.compile(
    r"[^.;,=]{0,30}? ?(?:on|in|at|to|near|by|behind|under|above|below|from) (?!total|all)[^.;,=]{2,30}[.!]?\s*$"
)
BOUNDS = re.compile(r"\b(?:between|from|ranges?)\b[^.\n]{0,40}$")


def chosen_number(body: Body, statement: Statement, found: list[Quantity], question: Question) -> Reading:
    """Which of a statement's numbers is its answer."""
    text, lower, start, end = body.text, body.lower, statement.start, statement.end
    found = counting(found) if len(found) > 1 else found
    kept = [
        quantity for quantity in found if not DENIED.search(lower[max(start, quantity.start - 20) : quantity.start])
    ]
    if not kept:
        return Reading(start, end, problem="denied")
    found = kept
    if len(found) > 1:
        if (problem := _several(body, found)) and not DECIDES.search(lower, found[-2].end, found[-1].start):
            return Reading(start, end, problem=problem)
        found = _without_ranges(body, found)
        if _parts(body, found, end):
            return Reading(start, end, problem="parts without a total")
        if (filled := filled_blank(lower, end, found, question)) is not None:
            return Reading(filled.start, filled.end, filled)
        if OTHERWISE.search(lower, found[0].end, end):
            return Reading(start, end, problem="several answers")
        own = [quantity for quantity in found if counts_another(body, quantity.end, question.text) is False]
        if total := _total(body, own or found, end):
            return Reading(total.start, total.end, total)
        head = not text[start : found[0].start].strip(" \t\n*\"'`($~≈:-")
        leads = head and ENDS_THERE.match(lower, found[0].end, end) is not None
        found = answering(body, found, question, statement.marked or leads)
        if not statement.marked and not leads and len(found) > 1:
            found = nearest(body, [(quantity.start, quantity) for quantity in found], start, end, question.text)
        turn = DECIDES.search(lower, found[0].end, end)
        spoken = BUT_VALUE.search(lower, found[0].end, end)
        if spoken and (after := [quantity for quantity in found if quantity.start >= spoken.end() - 1]):
            return Reading(after[-1].start, after[-1].end, after[-1])
        if turn and PROVISIONAL.search(lower, max(body.start, start - 60), turn.start()):
            after = [quantity for quantity in found if quantity.start >= turn.end()]
            if after:
                found, statement, start = after, statement._replace(start=turn.end()), turn.end()
    absent = None if statement.marked else ABSENT.search(lower, start, kept[0].start)
    if absent and all(BOUND.search(lower[max(start, quantity.start - 20) : quantity.start]) for quantity in kept):
        left, right = absent.span(absent.lastindex or 0)  # "there are no bars smaller than 0"
        return Reading(left, right, Quantity(left, right, Fraction(0), "word"))
    bare = statement.marked or (
        statement.rule in ("direct", "line")
        and not text[start : found[0].start].strip(" \t\n*\"'`($~≈:-")
        and not (COPULA.search(lower, start, end) or RESULT.search(lower, start, end))
    )
    chosen = _marked(body, start, found) if bare else _stated(body, start, end, found)
    if isinstance(chosen, str):
        return Reading(start, end, problem=chosen)
    if BOUND.search(lower[max(start, chosen.start - 24) : chosen.start]):
        return Reading(start, end, problem="a bound")
    if chosen.form == "exclaimed" and statement.rule in ("box", "tag"):
        chosen = chosen._replace(value=None, form="opaque")
    elif chosen.form == "exclaimed" and not statement.strict:
        chosen = chosen._replace(form="number")  # "There are 4! So cute"
    return Reading(chosen.start, chosen.end, chosen)


def _several(body: Body, found: list[Quantity]) -> str:
    """Whether the sentence keeps two numbers of the same sort open: "16 windows, or 18 if …", "12 or 13"."""
    for index, (left, right) in enumerate(zip(found, found[1:])):
        before = found[index - 1].value if index else None
        if before and left.value and right.value and before == right.value * left.value:
            continue  # "three of four, i.e. 3/4"
        if left.value is None or right.value is None or left.value == right.value:
            continue
        between = body.lower[left.end : right.start]
        alike = (left.form == "percent") == (right.form == "percent") and not (
            left.unit and right.unit and unit_of(left.unit) != unit_of(right.unit)
        )
        if "below zero" in between or "below 0" in between:
            continue  # "5 degrees below zero, that is -5"
        if alike and RESTATED.fullmatch(between):
            return "several answers"
        if (
            alike
            and ALTERNATIVE.fullmatch(between)
            and not WAS.search(body.lower, max(body.start, left.start - 60), left.start)
        ):
            return "several answers"
    return ""


def _without_ranges(body: Body, found: list[Quantity]) -> list[Quantity]:
    """With "between 10 and 12", "from 50 to 60" as one quantity without a value."""
    merged: list[Quantity] = []
    for quantity in found:
        before = merged[-1] if merged else None
        if before and RANGE_BETWEEN.fullmatch(body.lower, before.end, quantity.start) and RANGE_BEFORE.search(
            body.lower, max(body.start, before.start - 20), before.start
        ):  # fmt: skip
            merged[-1] = Quantity(before.start, quantity.end, None, "range")
        else:
            merged.append(quantity)
    valued = [quantity for quantity in merged if quantity.value is not None]
    return valued or merged


def _total(body: Body, found: list[Quantity], end: int) -> Quantity | None:
    """The one number that a sentence calls the total: "nine in all"."""
    totals = [
        quantity
        for quantity in found
        if quantity.value is not None
        and (
            TOTAL.match(body.lower, quantity.end, end)
            or TOTAL_OF.search(body.lower, max(body.start, quantity.start - 24), quantity.start)
        )
    ]
    return totals[-1] if len({quantity.value for quantity in totals}) == 1 else None


def _parts(body: Body, found: list[Quantity], end: int) -> bool:
    """Whether a sentence counts parts and gives no total: "3 cars on the left and 2 on the right"."""
    if len(found) != 2 or found[0].value is None or found[1].value is None or found[0].value == found[1].value:
        return False
    between = body.lower[found[0].end : found[1].start]
    return PARTS.fullmatch(between) is not None and PLACE.match(body.lower, found[1].end, end) is not None


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
