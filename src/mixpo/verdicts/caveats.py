"""What the sentence around an answer says that makes it none: a condition, a supposition, a question, another quantity.

Only the sentence that holds the answer is looked at. Conditions before an answer are mostly given ones ("if AB = 5,
the area is 10"), so "if" counts only behind it. What the question itself says is no caveat.
"""

import re
from functools import lru_cache

from mixpo.records import AnswerKind
from mixpo.verdicts.body import Body
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import SENTENCE_END
from mixpo.verdicts.units import unit_of
from mixpo.verdicts.words import stem

NUMERIC = frozenset(
    (
        AnswerKind.INTEGER,
        AnswerKind.DECIMAL,
        AnswerKind.NUMBER,
        AnswerKind.PERCENT,
        AnswerKind.MONEY,
        AnswerKind.FRACTION,
    )
)
BEHIND = re.compile(
    r"[)\"'*\s]*(?:[^\W\d_]+ ){0,4}?(?:(?:only )?(?:if|unless)\b|depending\b|assuming\b|provided\b)(?! "
    r"(?:needed|you|we count|any))"
    r"|[)\"'*\s]*, depending on\b|\s*(?:plus|through|\+|&) \(?[a-h]\)?(?![\w'])"
    r"|[)\"'*\s,]*(?:which|and that|but that|that) (?:is|was|would be) (?:wrong|incorrect|not (?:right"
    r"|correct|true)|a mistake)\b"
    r"|[)\"'*\s]*(?:,? ?(?:according to|in) the (?:caption|previous|example|first|other)\b|would be wrong"
    r"|(?:is|was) (?:what|out\b|excluded|ruled out|wrong|incorrect|extraneous|not (?:the|a|possible)))"
    r"|[)\"'*\s]*(?:[❌✗✘]|\?(?!\w))"
)
"""What stands right behind an answer and says that it is none."""
BEFORE = re.compile(
    r"\b(?:suppose|supposing|assume|let'?s (?:try|say|assume|suppose|consider)|let us (?:try|say|assume"
    r"|suppose|consider)"
    r"|try|imagine|consider)\b[^.;!?\n]{0,30}$"
    r"|\b(?:unless|used to (?:be|have)|as if it were|(?:might|may) (?:seem|look) like|at first (?:glance"
    r"|sight)|would have been|(?:it is|it's) not true that|need to see)\b[^.;!?\n,]{0,40}$"
)
"""What stands before it in its sentence."""
OPEN_NUMBER = re.compile(
    r"[ )°%]*[(,;]\s*(?:[^\W\d_]+ [^\W\d_]+; )?(?:it )?(?:might|could|may) (?:also )?be (?:about )?\d"
    r"|[ )°%]*[(,;]? ?(?:or|possibly|maybe|perhaps) (?:maybe |possibly |perhaps )?\d"
    r"|[ )°%]*[(,—–-]* ?(?:or is it|plus or minus|give or take) \d"
    r"|;\s?\d+\s*$"
)
"""Another number kept open behind one."""
QUALIFIED = {
    word: re.compile(rf" ?(?:[^\W\d_]+ )?(?:{pattern})\b")
    for word, pattern in {
        "most": "at most",
        "least": "at least",
        "per": "per (?!hour|h\\b|second|sec|minute|min|gallon|lit|cent|square|cubic|meter|metre)|a (?:lane|row|box"
        "|person|side|table|day|group|piece|child)",
        "each": "each|apiece",
        "more": r"more(?: [^\W\d_]+){0,5} than",
        "times": "times as",
        "rest": r"[^.\n]{0,40}?[;,] (?:but )?(?:the rest|others)",
        "hidden": r"with (?:\d+|one|two|three)(?: more)?(?: [^\W\d_]+)? hidden",
        "or more": r"or (?:more|fewer|less|greater)|maximum|minimum",
        "less": "(?:less|fewer) than",
        "of which": "of which",
        "zero": "below (?:zero|0)",
        "tax": "before (?:tax|tip)",
        "off": "off",
        "shorter": "shorter|longer|taller|higher|lower|older|younger|wider",
    }.items()
} | {"not": re.compile(r" ?(?:\w+ ){0,5}?(?:(?:is|are|was|were|do|does|did)(?:n't| not)|not)\b")}
"""What makes a number behind which it stands another one, unless the question says that word itself."""
LED = {
    word: re.compile(rf"\b{pattern} $")
    for word, pattern in {
        "half": r"half of(?: the)?",
        "twice": r"twice the \w+ (?:is|=)",
        "after": "after",
        "before": "before",
        "since": "since",
        "each": r"each \w+ (?:\w+ )?(?:has|have|holds?|contains?|costs?)",
        "caption": r"caption\b[^.;!?\n]{0,30}",
        "user": r"user (?:says|claims|said)\b[^.;!?\n]{0,30}",
        " to ": r"(?:rose|increased|fell|dropped|decreased|grew|went (?:up|down)) to",
        "from": r"(?:rose|increased|fell|dropped|decreased|grew|went (?:up|down)) from",
    }.items()
}
"""The same for what stands before it."""
DENIED = re.compile(
    r"\b(?P<word>wrong|incorrect|worst|false|excluded?|rule out|avoid|least \w+)\b(?: (?:answer|option"
    r"|choice|one))?(?:\s*(?:is|was|:)|)"
    r"[^.;!?\n,]{0,12}$"
)
"""What makes an answer behind it the one to leave, unless the question asks for that."""
PARTS = re.compile(
    r"(?<![\w.])(?P<one>\d+|two|three|four|five|six|seven|eight|nine|ten) (?P<first>[a-z]+)(?: (?P<noun>[a-z]+))? and "
    r"(?P<other>\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten) (?P<second>[a-z]+)(?: (?P<same>[a-z]+))?"
)
"""A sum told by its parts: "3 red cars and 4 blue cars", "4 children and 2 adults"."""
MEASURES = (
    "perimeter area volume radius diameter circumference height width hypotenuse slope mean median mode range average "
    "sum product difference subtotal total tax minimum maximum"
).split()
MEASURE_BEFORE = re.compile(
    rf"\b(?P<name>{'|'.join(MEASURES)})\b(?: [^\W\d_]+){{0,5}} (?:is|was|equals|=|:)\s*[$(]*(?:about |approximately )?$"
)
VARIABLE_BEFORE = re.compile(r"(?<![\w\\])(?P<name>[a-z])\s*=\s*\$?$")
FUNCTION_BEFORE = re.compile(r"(?<![\w\\^*/+(.-])(?P<name>\d+[a-z]|[a-z](?:\^\{?\d\}?|²|³))\s*=\s*\$?$")
ASKED_VARIABLE = re.compile(
    r"\b(?:value of|what is|find|solve for|determine) (?:the (?:angle|length|side|measure of) )?\$?([a-z])\$?(?![\w'])"
)
BOX_DENIED = re.compile(r"\b(?:not|never|isn't|wasn't)\s*\$*\\?f?box(?:ed)?\{$")
BOX_WRONG = re.compile(r"\}\$*(?:\?\$* no\b|\s*(?:is|was) (?:wrong|incorrect|not (?:right|correct|it)))")
BOX_OPEN = re.compile(r"\}\$* ?(?:or|and/or) \$?\(?(?:\d|[a-h]\b)")
NOT_ASKED = re.compile(r"\bnot\b|n't\b|\bexcept\b|\bfalse\b|\bincorrect\b|\bwrong\b")
COMPARED = frozenset((AnswerKind.RATIO, AnswerKind.FRACTION, AnswerKind.INTERVAL))
NOT_IT = re.compile(r"(?:\b(?:isn't|is not|not|more than|less than|over|under)|∉|\\notin)\s*[$(]*$")
NEGATED = re.compile(r"\b(?:isn't|is not|aren't|wasn't)\s+(?:the |an? )?\$*$")


def caveat(body: Body, reading: Reading, rule: str, kind: AnswerKind, asked: str) -> str:
    """Why the sentence of an answer takes it back, keeps it open or is about another thing; empty where not."""
    lower, end = body.lower, min(body.end, reading.end + 80)
    if rule == "box" and BOX_DENIED.search(lower, max(body.start, reading.start - 40), reading.start):
        return "denied"
    if rule == "box" and BOX_WRONG.match(lower, reading.end, end):
        return "denied"
    if rule == "box" and BOX_OPEN.match(lower, reading.end, end):
        return "another answer kept open"
    if rule in ("box", "tag", "json"):
        return ""
    edges = SENTENCE_END.finditer(lower, max(body.start, reading.start - 200), reading.start)
    start = max((match.end() for match in edges), default=max(body.start, reading.start - 200))
    if BEHIND.match(lower, reading.end, end):
        return "hedged"
    if BEFORE.search(lower, start, reading.start):
        return "supposed"
    told = asked.lower()
    if (denied := DENIED.search(lower, start, reading.start)) and denied["word"].split()[0] not in told:
        return "denied"
    if kind in COMPARED and NOT_IT.search(lower, start, reading.start):
        return "denied"
    if kind is AnswerKind.CHOICE and NEGATED.search(lower, start, reading.start) and not NOT_ASKED.search(told):
        return "denied"
    if kind not in NUMERIC and not (kind is AnswerKind.CHOICE and body.text[reading.start : reading.end].isdigit()):
        return ""
    if OPEN_NUMBER.match(lower, reading.end, end):
        return "another number kept open"
    if any(word not in told and pattern.match(lower, reading.end, end) for word, pattern in QUALIFIED.items()):
        return "another quantity"
    if any(word not in told and pattern.search(lower, start, reading.start) for word, pattern in LED.items()):
        return "another quantity"
    if _is_part(lower, start, reading, told):
        return "a part of a sum"
    return "another quantity" if _is_of_another(lower, start, reading.start, told) else ""


def _is_of_another(lower: str, start: int, at: int, asked: str) -> bool:
    """Whether the sentence names another measure or letter than the question: the perimeter for the area, y for x."""
    measures = _measures(asked)
    if (named := MEASURE_BEFORE.search(lower, start, at)) and measures and named["name"] not in measures:
        return True
    power = FUNCTION_BEFORE.search(lower, start, at)
    if power and power["name"] not in asked.replace(" ", ""):
        return True
    variable, letter = ASKED_VARIABLE.search(asked), VARIABLE_BEFORE.search(lower, start, at)
    return bool(variable and letter and variable[1] != letter["name"])


def _is_part(lower: str, start: int, reading: Reading, asked: str) -> bool:
    """Whether a number is one of two that the sentence adds without saying so, and not the one asked for."""
    sum_ = PARTS.search(lower, start, min(len(lower), reading.end + 60))
    if sum_ is None or not (sum_.start() <= reading.start and reading.end <= sum_.end()):
        return False
    if reading.start not in (sum_.start("one"), sum_.start("other")):
        return False
    word = sum_["first"] if reading.start == sum_.start("one") else sum_["second"]
    alike = sum_["noun"] and sum_["same"] and stem(sum_["noun"]) == stem(sum_["same"])
    if alike or sum_["same"] in ("one", "ones"):
        return word not in asked
    if unit_of(sum_["first"]) and unit_of(sum_["second"]):
        return False  # "1 hour and 40 minutes"
    return sum_["noun"] is None and stem(word) not in {stem(told) for told in re.findall(r"[a-z]+", asked)}


@lru_cache(maxsize=4096)
def _measures(asked: str) -> frozenset[str]:
    return frozenset(word for word in MEASURES if word in asked)
