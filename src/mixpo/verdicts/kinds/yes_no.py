"""Yes or no, true or false: the same two answers in other words."""

import re

from mixpo.records import Question
from mixpo.verdicts.kinds.number import REFUSAL
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement

YES = {"yes", "true", "correct", "right", "yeah", "yep", "y", "是", "对", "正确", "是的", "对的"}
NO = {"no", "false", "incorrect", "wrong", "nope", "n", "否", "不是", "错", "错误", "不对", "不正确", "没有"}
WORD = re.compile(
    r"\b(?:yes|no|true|false|correct|incorrect|wrong|right|yeah|yep|nope)\b|不正确|不是|不对|是的|对的|正确|错误|没有|[是否对错]", re.IGNORECASE
)
LEADING = re.compile(rf"[\s\"'*`$(\[{{]*(?:\\text\{{)?({WORD.pattern})", re.IGNORECASE)
NEGATED = re.compile(r"\b(?:not|n't|never|neither)\s+(?:\w+\s+)?$|n't\s+(?:\w+\s+)?$", re.IGNORECASE)
CLAIM = re.compile(r"\b(?:statement|claim|sentence|caption|description|it|this|that|which)\b[^.\n]{0,60}?\b(?:is|was|makes it)\s+(?:\w+\s+)?$", re.IGNORECASE)
NEGATIVE = re.compile(r"\b(?:not|no|none|never|neither|nobody|nothing)\b|n't\b|没有|不", re.IGNORECASE)
IDIOMS = re.compile(r"\bno (?:doubt|problem|matter|way|wonder|conclusion|information)\b|\bnot only\b|\bwhether or not\b", re.IGNORECASE)


def polarity(word: str) -> bool | None:
    """True for a word of assent, False for one of denial, None for another."""
    plain = word.strip(" .!*\"'").casefold()
    return True if plain in YES else False if plain in NO else None


def read(text: str, statement: Statement, question: Question) -> Reading | None:
    """The answer that a statement gives: its leading word, or what it says of the statement asked about."""
    start, end = statement.start, statement.end
    if leading := LEADING.match(text, start, end):
        value = polarity(leading[1])
        if leading[1].lower() in ("yes", "no", "true", "false") or statement.strict or text[leading.end(1) : end].strip(" .!\"'*)}") == "":
            other = re.compile(r"\s*(?:or|and|/)\s*(?:yes|no|true|false)\b", re.IGNORECASE).match(text, leading.end(), end)
            if other:
                return Reading(start, end, problem="several answers")
            if not (leading[1].lower() == "no" and IDIOMS.match(text, leading.start(1), end)):
                return Reading(leading.start(1), leading.end(1), value)
    if not statement.strict and REFUSAL.search(text, start, end):
        return Reading(start, end, problem="refused")
    for word in WORD.finditer(text, start, end):
        before = text[max(start, word.start() - 80) : word.start()]
        if word[0].lower() not in ("yes", "no", "是", "否", "没有") and (statement.explicit or CLAIM.search(before)):
            value = polarity(word[0])
            return Reading(word.start(), word.end(), not value if NEGATED.search(before) else value)
    return None


def stance(text: str, statement: Statement) -> Reading:
    """What a plain sentence says without yes or no: a denial is a no ("There is no dog"), else a yes."""
    start, end = statement.start, statement.end
    denial = next((m for m in NEGATIVE.finditer(text, start, end) if not IDIOMS.match(text, m.start(), end)), None)
    return Reading(start, end, denial is None)


def right(reading: Reading, question: Question) -> bool:
    """Whether the answer is the ground truth's."""
    gold = polarity(question.answer or "")
    if gold is None:
        raise Undecided("the ground truth is neither yes nor no")
    return bool(reading.value) == gold
