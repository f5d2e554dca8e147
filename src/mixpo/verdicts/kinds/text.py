"""Short text: the answer's words must be the ground truth's; case, articles, punctuation and the plural aside."""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body
from mixpo.verdicts.number_words import words_value
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.refusal import refuses
from mixpo.verdicts.statements import Statement

VERB = re.compile(
    r"(?:\b(?:it|that|this|he|she|there)'s|\b(?:is|are|was|were|be|shows?|says?|reads?|called|named|depicts?|displays?|contains?|has|have)\b|[是为])"
    r"\s*:?(?:\s+(?:a|an|the|called|named)\b)?"
)
LEAD_IN = re.compile(
    r"^(?:(?:so|thus|therefore|hence|well|probably|likely|simply|just|definitely|called|named)\b,?\s*)*"
    r"(?:(?:it|this|that|they|he|she)(?:'s|\s+(?:is|are|was|were))\s+)?(?:(?:most )?(?:likely|probably"
    r"|definitely)\s+)?(?:that of\s+)?",
    re.IGNORECASE,
)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
WRAPPING = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathit|textit|operatorname|boxed)\s*\{([^{}]*)\}")
ACRONYM = re.compile(r"\b(?:[a-z]\.)+[a-z]\b\.?")
HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
MARKS = re.compile(r"[\"'`*;,!?“”…()\[\]{}|\\$~]|(?<!\w)[.:-]|[.:-](?!\w)")
SENTENCE = re.compile(r"[.!?](?=\s+[A-Z\"]|\s*$)|\n")
HEDGED = re.compile(r"\b(?:either|maybe)\b.*\bor\b")
TRAILING = re.compile(
    r"[,;]\s*(?:because|since|as|which|so|but|while|given|not|although)\b|\s\(|\s+(?:because|since)\b"
)
IRREGULAR = {
    "mice": "mouse",
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "people": "person",
    "leaves": "leaf",
    "knives": "knife",
    "wolves": "wolf",
    "oxen": "ox",
    "lives": "life",
    "shelves": "shelf",
}


def read(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The words that a statement gives as its answer."""
    text, lower, start, end = body.text, body.lower, statement.start, statement.end
    if statement.rule not in ("box", "tag"):
        edge = SENTENCE.search(text, start + 1, end)
        while edge and not text[start : edge.start()].strip():
            edge = SENTENCE.search(text, edge.end(), end)
        end = edge.start() if edge else end
    if refuses(lower, start, end):
        return Reading(start, end, problem="refused")
    bare = statement.strict and not (statement.rule == "direct" and _same_as(text[start:end], question) is False)
    if not bare and not statement.marked:
        if _same_as(text[start:end], question):
            return _trimmed(text, start, end)
        verb = VERB.search(lower, start, end)
        if verb is None:
            return _trimmed(text, start, end) if statement.rule in ("direct", "line") else None
        start = verb.end()
    if statement.rule not in ("box", "tag", "json") and (aside := TRAILING.search(lower, start + 1, end)):
        end = aside.start()
    if HEDGED.search(lower, start, end):
        return Reading(start, end, problem="several answers")
    return _trimmed(text, start, end)


def _same_as(words: str, question: Question) -> bool:
    return plain(words) == plain(question.answer or "")


def _trimmed(text: str, start: int, end: int) -> Reading | None:
    words = text[start:end]
    left = len(words) - len(words.lstrip(" \t\n*\"':`$(["))
    right = len(words.rstrip(" \t\n*\"'.:,;!$`)]"))
    if wrapped := WRAPPING.fullmatch(words, left, right):
        left, right = wrapped.span(1)
    return Reading(start + left, start + right, words[left:right]) if left < right else None


def right(reading: Reading, question: Question) -> bool:
    """Whether the words are the same."""
    return plain(reading.value) == plain(question.answer or "")


@lru_cache(maxsize=65536)
def plain(words: str) -> str:
    """Lower case, singular, digits for number words; no articles, no punctuation around words, single spaces."""
    words = WRAPPING.sub(r"\1", words.strip())
    words = LEAD_IN.sub("", words)
    words = ACRONYM.sub(lambda match: match[0].replace(".", ""), HYPHEN.sub(" ", words.casefold()))
    words = MARKS.sub(" ", words)
    return " ".join(_singular(word) for word in words.split() if not ARTICLES.fullmatch(word)) or words.strip()


def _singular(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word.isalpha() and (
        value := words_value(word)
        if word in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
        else None
    ):
        return str(value)
    if len(word) > 4 and word.endswith("ies") and word.isalpha():
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return (
        word[:-1]
        if len(word) > 3 and word.endswith("s") and word.isalpha() and not word.endswith(("ss", "us", "is", "ous"))
        else word
    )
