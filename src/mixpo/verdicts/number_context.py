"""Numbers of a sentence that only repeat the question, label something or count the whole, set aside."""

import re
from collections.abc import Sequence
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.caveats import ASKED_VARIABLE
from mixpo.verdicts.kinds.stance import content
from mixpo.verdicts.quantities import quantities_of
from mixpo.verdicts.quantity import Quantity
from mixpo.verdicts.words import stem

LABEL = re.compile(
    r"\b(?:task|step|question|figure|fig\.?|table|day|no\.|number|problem|part|exercise|example|section"
    r"|page|chapter|item|case|level|grade|class|route|line|room|bus|gate|version|question no\.)\s#?$"
)
WORD_BEFORE = re.compile(r"([^\W\d_]+)[ $(]{1,3}$")
WORD_AFTER = re.compile(r"[ \u202f)$*-]{0,3}([^\W\d_]+)")
NOUN_ASKED = re.compile(
    r"\bhow many (?:more |other |different |of the |total )*(?:\w+ing )?([^\W\d_]+)|\b(?:cuánt[oa]s|wie "
    r"viele|quant[eio]|quant[oa]s|combien d(?:e |'|’)|сколько) ?([^\W\d_]+)"
    r"|\b(?:which|what) "
    r"(?!is\b|are\b|was\b|were\b|do\b|does\b|did\b|can\b|will\b|would\b|has\b|have\b|should\b)([^\W\d_]+)"
)
RESULT_BEHIND = re.compile(
    r"=|\b(?:which|that) (?:makes|gives|leaves)\b|\b(?:so|thus|hence|therefore|making|leaving|for a total)\b"
)
PRECISION = re.compile(r"[ -](?:decimal|significant|d\.?p\.?\b)")
OUT_OF = re.compile(r"(?: [^\W\d_]+)? (?:out of|of) (?:the |these |those |all |a total of )*")
BLANK = re.compile(r"\(_+\)\s+(\w[^.?!\n(]*\w)")


def answering(body: Body, found: list[Quantity], question: Question, marked: bool) -> list[Quantity]:
    """Without labels ("day 5") and numbers that repeat the question; or the one counted in the noun asked for."""
    told = _told(question.text)
    bounds = [quantity for quantity in found if quantity.form != "bound"]
    found = bounds or found
    wholes = [q for q, before in zip(found[1:], found) if OUT_OF.fullmatch(body.lower, before.end, q.start)]
    found = [quantity for quantity in found if quantity not in wholes]
    about = [quantity for quantity in found if not _is_context(body, quantity, told)]
    found = about or found
    gold = _gold_form(question.answer or "")
    alike = [quantity for quantity in found if quantity.form == gold]
    if gold in ("percent", "money") and len({quantity.value for quantity in alike}) == 1:
        return alike
    if not marked and len(found) > 1:
        new = [q for q in found if body.text[q.start : q.end].strip("$% ") not in _numbers_told(question.text)]
        found = new if len(new) == 1 and new[0].value is not None else found
    if result := RESULT_BEHIND.search(body.lower, found[0].end, found[-1].start):
        return [quantity for quantity in found if quantity.start >= result.end()]  # what the sentence comes to
    variable = ASKED_VARIABLE.search(question.text.lower())
    if variable and not marked:
        own = [
            q
            for q in found
            if re.search(rf"(?<![\w\\]){variable[1]}\s*(?:=|is)\s*\$?$", body.lower[max(0, q.start - 12) : q.start])
        ]
        if len({quantity.value for quantity in own}) == 1:
            return own
    if asked := _asked_noun(question.text):
        counted = [quantity for quantity in found if stem(_next_word(body, quantity)) == asked]
        if len({quantity.value for quantity in counted}) == 1 and len(counted) < len(found):
            return counted
    return found


def _is_context(body: Body, quantity: Quantity, told: frozenset[tuple[str, str]]) -> bool:
    if LABEL.search(body.lower, max(body.start, quantity.start - 16), quantity.start) and quantity.form == "number":
        return True
    if PRECISION.match(body.lower, quantity.end):
        return True
    number = body.text[quantity.start : quantity.end].strip("$% ")
    before = WORD_BEFORE.search(body.lower, max(body.start, quantity.start - 20), quantity.start)
    return (before is not None and (stem(before[1]), number) in told) or (
        number,
        stem(_next_word(body, quantity)),
    ) in told


@lru_cache(maxsize=4096)
def _gold_form(answer: str) -> str:
    found = quantities_of(answer)
    return found[0].form if len(found) == 1 else ""


@lru_cache(maxsize=4096)
def _numbers_told(asked: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d[\d,.]*\d|\d", asked))


@lru_cache(maxsize=4096)
def _told(asked: str) -> frozenset[tuple[str, str]]:
    """The numbers of a question, each with the word before and the word after it."""
    words = re.findall(r"\d[\d,.]*\d|\d|[^\W\d_]+", asked.lower())
    pairs = {
        (stem(left), stem(right)) for left, right in zip(words, words[1:]) if left[0].isdigit() != right[0].isdigit()
    }
    return frozenset(pair for pair in pairs if not set(pair) & {"", "of", "the", "is", "are", "in", "and", "to", "a"})


@lru_cache(maxsize=4096)
def _asked_noun(asked: str) -> str:
    noun = NOUN_ASKED.search(asked.lower())
    return stem(noun[1] or noun[2] or noun[3] or noun[3]) if noun else ""


def _next_word(body: Body, quantity: Quantity) -> str:
    following = WORD_AFTER.match(body.lower, quantity.end, min(body.end, quantity.end + 40))
    return following[1] if following else ""


def counting(found: list[Quantity]) -> list[Quantity]:
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
    return [quantity for quantity in found if quantity.form == "ordinal"] if after_ordinal else cardinal or found


@lru_cache(maxsize=4096)
def _after_blank(asked: str) -> str | None:
    blank = BLANK.search(asked)
    return " ".join(blank[1].lower().split()) if blank else None


def filled_blank(lower: str, end: int, found: Sequence[Quantity], question: Question) -> Quantity | None:
    """The number before the words that follow the question's blank: "There are (_) dots in each group."."""
    words = _after_blank(question.text)
    if words is None:
        return None
    after = (" ".join(lower[quantity.end : min(end, quantity.end + 200)].split()) for quantity in found)
    fitting = [quantity for quantity, said in zip(found, after) if re.match(rf"{re.escape(words)}\b", said)]
    return fitting[0] if len(fitting) == 1 else None


NO_NOUN = frozenset("for in on at to from by with of is are was were as and or but so per each because since".split())
FOLLOWING = re.compile(r" ?((?:[^\W\d_]+ ){0,2}[^\W\d_]+)")


def counted(asked: str) -> str | None:
    """The noun that a question counts: "chairs" of "How many chairs …?"."""
    found = NOUN_ASKED.search(asked.lower())
    return found and (found[1] or found[2])


def counts_another(body: Body, end: int, asked: str) -> bool | None:
    """Whether the noun behind a number is none that the question counts; None where no noun stands there."""
    noun, behind = counted(asked), FOLLOWING.match(body.lower, end, end + 60)
    if noun is None or behind is None or behind[1].split()[0] in NO_NOUN:
        return None
    return not set(content(behind[1])) & set(content(noun))
