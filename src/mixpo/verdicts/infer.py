"""The kind of an answer when the question does not state it: conservative, from the ground truth and the options.

A ground truth that is mathematics is never judged as words: words lose signs, brackets and bars.
"""

import re

from mixpo.records import AnswerKind, Question
from mixpo.verdicts.body import fold
from mixpo.verdicts.kinds.date import NAMES
from mixpo.verdicts.mathematics.notation import TEXT as SET_AS_TEXT
from mixpo.verdicts.mathematics.structure import is_mathematics
from mixpo.verdicts.units import unit_of

NUMERAL = r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?"
FORMS: tuple[tuple[AnswerKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (AnswerKind.YES_NO, r"yes|no|true|false|是|否|对|错|正确|错误"),
        (AnswerKind.INTEGER, r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)"),
        (AnswerKind.DECIMAL, r"[+-]?(?:\d*|\d{1,3}(?:,\d{3})+)\.\d+"),
        (AnswerKind.PERCENT, r"[+-]?\d[\d,]*(?:\.\d+)? ?\\?(?:%|percent)"),
        (AnswerKind.MONEY,
            r"-?\\?[$€£¥₹] ?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)? ?(?:€|£|¥|₹|(?:US )?dollars?|euros?|cents?|yuan"
            r"|yen)"),
        (AnswerKind.FRACTION, r"[+-]?(?:\d+ )?\d+/\d+"),
        (AnswerKind.TIME, r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?: ?[ap]\.?m\.?)?|1?\d ?[ap]\.?m\.?"),
        (AnswerKind.RATIO, r"\d+(?:\.\d+)? ?: ?\d+(?:\.\d+)?(?: ?: ?\d+(?:\.\d+)?)*"),
        (
            AnswerKind.DATE,
            r"\d{4}-\d\d-\d\d|\d\d?/\d\d?/\d{4}|[a-z]{3,9}\.? \d\d?(?:st|nd|rd|th)?,? \d{4}|\d\d?(?:st|nd|rd"
                r"|th)?(?: of)? [a-z]{3,9},? \d{4}",
        ),
        (AnswerKind.LIST, r"\[[^\[\]]*,[^\[\]]*,[^\[\]]*\]|\[ *['\"][^\[\]]*\]"),
    )
)  # fmt: skip
NUMBER = re.compile(rf"{NUMERAL}(?:[eE][+-]?\d+)?(?P<unit> ?[^\d,;=]+(?:\^?[23²³])?)?")
COMPOUND = re.compile(rf"{NUMERAL} ?[^\W\d_]+(?:,? (?:and )?{NUMERAL} ?[^\W\d_]+)+")
CODE = re.compile(r"[A-Z]{2,}[-/ ]?\d[\w/-]*")
"""A number of an invoice, a flight, a molecule: words."""
SCALED = re.compile(rf"[$€£]?{NUMERAL} (?:thousand|million|billion|trillion)")
SHORT_SCALE = re.compile(rf"[$€£]?{NUMERAL}[kKMB]")
HOW_MANY = re.compile(r"\bhow (?:many|much)\b", re.IGNORECASE)
ORDERED = re.compile(
    r"\b(?:order|sequence|sort|rank|arrange)\b|\bfrom (?:left|right|top|bottom|smallest|largest|lightest"
    r"|heaviest|lowest|highest|oldest|youngest) to\b",
    re.IGNORECASE,
)
MONTH_DAY = re.compile(
    r"[A-Za-z]{3,9},? \d{4}|[A-Za-z]{3,9}\.? \d\d?(?:st|nd|rd|th)?|\d\d?(?:st|nd|rd|th)?(?: of)? [A-Za-z]{3,9}"
)
RANGE = re.compile(rf"({NUMERAL}) ?- ?({NUMERAL})")


def infer_kind(question: Question) -> AnswerKind:
    """CHOICE with options; else what the ground truth's form leaves no doubt about; else TEXT."""
    if question.choices:
        return AnswerKind.CHOICE
    answer = fold(question.answer or "").strip()
    answer = answer.strip("$").strip() if answer[:1] == answer[-1:] == "$" else answer
    answer = (
        SET_AS_TEXT.sub(r"\1", answer).strip()
        if re.match(r"\\(?:text|mathrm|mbox)", answer) and SET_AS_TEXT.fullmatch(answer)
        else answer
    )
    if re.fullmatch(r"\(?[A-Z]\)?", answer):
        return AnswerKind.CHOICE
    if CODE.fullmatch(answer):
        return AnswerKind.TEXT
    if SCALED.fullmatch(answer) or (HOW_MANY.search(question.text) and SHORT_SCALE.fullmatch(answer)):
        return AnswerKind.MONEY if answer[:1] in "$€£" else AnswerKind.NUMBER
    if re.fullmatch(r"[a-z]", answer):
        return AnswerKind.EXPRESSION
    for kind, form in FORMS:
        if form.fullmatch(answer):
            return kind
    if (number := NUMBER.fullmatch(answer)) and (not number["unit"] or unit_of(number["unit"])):
        return AnswerKind.NUMBER
    if COMPOUND.fullmatch(answer) and all(map(unit_of, re.findall(r"[^\W\d_]+", answer.replace(" and ", " ")))):
        return AnswerKind.NUMBER
    if ORDERED.search(question.text) and len(re.split(r", | (?:→|->|>|<) ", answer)) > 2:
        return AnswerKind.LIST
    if MONTH_DAY.fullmatch(answer) and any(answer.lower().startswith(name) or name in answer.lower() for name in NAMES):
        return AnswerKind.DATE
    if (ends := RANGE.fullmatch(answer)) and _number(ends[1]) < _number(ends[2]):
        return AnswerKind.INTERVAL
    return AnswerKind.EXPRESSION if is_mathematics(answer) else AnswerKind.TEXT


def _number(text: str) -> float:
    return float(text.replace(",", ""))
