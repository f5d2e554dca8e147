"""Yes or no, true or false: the same two answers in other words.

A statement without either word still answers when it repeats the question's claim or denies it: "There is no dog" to
"Is there a dog?". It must repeat every content word, in the question's order; anything looser is no answer.
"""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement

YES = frozenset({"yes", "true", "correct", "right", "yeah", "yep", "y", "t", "是", "对", "正确", "是的", "对的", "真"})
NO = frozenset(
    {"no", "false", "incorrect", "wrong", "nope", "n", "f", "否", "不是", "错", "错误", "不对", "不正确", "没有", "假"}
)
WORD = re.compile(
    r"(?<![A-Za-z0-9_])(?:yes|no|true|false|correct|incorrect|wrong|right|yeah|yep|nope)\b|不正确|不是|不对|是的|对的|正确|错误|没有|[是否对错]",
    re.IGNORECASE,
)
SAID = frozenset(
    {"yes", "no", "true", "false", "yeah", "yep", "nope", "是的", "不是", "没有", "对", "不对", "对的", "是", "否"}
)
HEAD = re.compile(
    rf"[\s\"'*`$(\[{{:,]*(?:\\text\{{)?(?:(?:a|definitely|clearly|simply|absolutely|certainly|probably"
    rf"|of course|so|thus|hence|therefore|i would say|i think)[,:]?\s+)?({WORD.pattern}|[ynYN](?!\w))(?![\w'])",
    re.IGNORECASE,
)
BOTH = re.compile(r"[\"'*]*\s*(?:\bor\b|\band\b|/|或)\s*[\"'*]*(?:yes|no|true|false)\b", re.IGNORECASE)
MAYBE = re.compile(r"\b(?:either|maybe|perhaps)\b", re.IGNORECASE)
NEGATED = re.compile(r"(?:\bnot\b|n't|\bnever\b|\bisn't|不)\s*(?:\w+\s+)?[\"']?$", re.IGNORECASE)
CLAIM = re.compile(
    r"(?:说法|陈述|描述|命题|句子|表述)[^.\n]{0,10}$"
    r"|(?:\b(?:statement|claim|sentence|caption|description|assertion)\b[^.\n]{0,60}?|\b(?:it|that|this|which)\s*)"
    r"(?:\b(?:is|was|be|makes? it|as|being)|'s)\s+(?:not\s+|\w+\s+)?[\"'*]*$",
    re.IGNORECASE,
)
GOES_ON = re.compile(r"[\"'*]*\s+(?!that\b|because\b|since\b|as\b|for\b|in\b|given\b|based\b|about\b|to say\b)\w")
NEGATIVE = re.compile(r"\b(?:not|no|none|never|neither|nobody|nothing|cannot)\b|n't\b", re.IGNORECASE)
IDIOM = re.compile(
    r"\bno (?:doubt|problem|matter|way|wonder|conclusion|information|data)\b|\bnot only\b|\bwhether or not\b",
    re.IGNORECASE,
)
SKIPPED = frozenset(
    [
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "can",
        "could",
        "will",
        "would",
        "has",
        "have",
        "had",
        "the",
        "a",
        "an",
        "any",
        "some",
        "there",
        "it",
        "its",
        "of",
        "in",
        "on",
        "at",
        "to",
        "be",
        "been",
        "this",
        "that",
        "image",
        "picture",
        "photo",
        "figure",
        "graph",
        "chart",
        "shown",
        "s",
        "not",
        "no",
        "none",
        "any",
    ]
)
ASKING = re.compile(r"\s*(?:is|are|was|were|do|does|did|can|could|will|would|has|have|had)\b", re.IGNORECASE)


def polarity(word: str) -> bool | None:
    """True for a word of assent, False for one of denial, None for another."""
    plain = word.strip(" .!*\"'").casefold()
    return True if plain in YES else False if plain in NO else None


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The answer that a statement gives; its value is True or False."""
    text, start, end = body.text, statement.start, statement.end
    if head := HEAD.match(text, start, end):
        word, rest = head[1], text[head.end(1) : end].strip(" \t\n.!\"'*)}$")
        idiom = word.lower() == "no" and IDIOM.match(text, head.start(1), end)
        if not idiom and (
            not rest or (word.lower() in SAID and _stands_alone(text, head.end(1), end, word, statement))
        ):
            if BOTH.match(text, head.end(1), end):
                return Reading(start, end, problem="several answers")
            return Reading(head.start(1), head.end(1), polarity(word))
    if refuses(body.lower, start, end) and not statement.strict:
        return Reading(start, end, problem="refused")
    found = [reading for match in WORD.finditer(text, start, end) if (reading := _claimed(text, match, statement))]
    if found:
        if len({reading.value for reading in found}) > 1 or MAYBE.search(text, start, end):
            return Reading(start, end, problem="several answers")
        return found[-1]
    return _stance(text, statement, question.text)


def _stands_alone(text: str, at: int, end: int, word: str, statement: Statement) -> bool:
    """Whether the leading word answers: not the determiner of "No dog is visible", unless that denies as well."""
    following = text[at:end].lstrip(" *\"'")[:1]
    if word in ("是", "对", "否", "没有", "不是"):
        return following in ",.;!"
    return statement.marked or word.lower() != "no" or following in ",.:;!)-(\n"


def _claimed(text: str, match: re.Match[str], statement: Statement) -> Reading | None:
    """A word that says of the claim, or after a mark, that it is so or not."""
    word = match[0].lower()
    before = text[max(statement.start, match.start() - 80) : match.start()]
    if word in ("yes", "no", "是", "否", "没有", "yeah", "yep", "nope"):
        said = re.search(
            r"\b(?:answer|say|is|be|so|therefore|thus|hence|would be)[:,]?\s+[\"'*]*$", before, re.IGNORECASE
        )
        if (
            not said
            or IDIOM.match(text, match.start())
            or not re.match(r"[\"'*]*\s*(?:[.,;!)]|$)", text[match.end() : statement.end])
        ):
            return None
    elif not (statement.marked or CLAIM.search(before)) or GOES_ON.match(text, match.end(), statement.end):
        return None  # "the correct answer", "this response is correct and complete"
    value = polarity(word)
    return Reading(match.start(), match.end(), not value if NEGATED.search(before) else value)


def _stance(text: str, statement: Statement, question: str) -> Reading | None:
    """Whether a sentence repeats the question's claim (yes) or denies it (no)."""
    if not ASKING.match(question.rpartition(".")[2]) and not ASKING.match(question):
        return None
    asked = _content(question)
    said = text[statement.start : statement.end]
    if not asked or len(asked) > 60 or len(said) > 600 or NEGATIVE.search(question):
        return None
    words = iter(_content(said))
    if not all(word in words for word in asked):
        return None
    denials = [match for match in NEGATIVE.finditer(said) if not IDIOM.match(said, match.start())]
    if len(denials) > 1:
        return None
    return Reading(statement.start, statement.end, not denials)


@lru_cache(maxsize=4096)
def _content(text: str) -> tuple[str, ...]:
    words = re.findall(r"[^\W_]+", re.sub(r"n't\b", "", text).lower())
    return tuple(_singular(word) for word in words if word not in SKIPPED)


def _singular(word: str) -> str:
    for ending in ("sses", "ses", "ss"):
        if word.endswith(ending):
            return word[: -len(ending)] + "s"
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith(("us", "is")) else word


def right(reading: Reading, question: Question) -> bool:
    """Whether the answer is the ground truth's."""
    gold = polarity(question.answer or "")
    if gold is None:
        raise Undecided("the ground truth is neither yes nor no")
    return bool(reading.value) == gold
