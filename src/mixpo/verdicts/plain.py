"""Words made plain for comparison: case, articles, punctuation, plurals and spellings aside."""

import re
from functools import lru_cache

from mixpo.number_words import words_value
from mixpo.verdicts.languages import every
from mixpo.verdicts.mathematics.notation import normal

LEAD_IN = re.compile(
    r"^(?:(?:so|thus|therefore|hence|well|probably|likely|simply|just|definitely|called|named)\b,?\s*)*"
    r"(?:(?:it|this|that|they|he|she)(?:'s|\s+(?:is|are|was|were))\s+)?(?:(?:most )?(?:likely|probably"
    r"|definitely)\s+)?(?:that of\s+)?",
    re.IGNORECASE,
)
ARTICLES = re.compile(rf"\b(?:a|an|the)\b|{'|'.join(every('articles'))}")
INITIALS = re.compile(r"\b[b-hj-z](?: [a-z])+\b")
ENDS = re.compile(
    rf"(?<=[\u3040-\ud7a3])(?:的|{'|'.join(map(re.escape, every('ends', without=('hi',))))})+$|(?<=\w) (?:है|हैं)$"
)
FRAMES = str.maketrans("", "", "«»_{}")
WRAPPING = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathit|textit|operatorname|boxed|mbox|textrm)\s*\{([^{}]*)\}")
ACRONYM = re.compile(r"\b(?:[a-z]\.)+[a-z]\b\.?")
HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
TITLES = re.compile(r"\b(?:dr|mr|mrs|ms|prof)\.? (?=\w)")
SAME = re.compile(r"\b(north|south)[ -](east|west)(?=ern\b|\b)|\bunited states(?: of america)?\b")
NONE_THERE = re.compile(
    r"\b(?:dne|(?:does not|doesn't|do not|don't) exist|undefined|not defined|no (?:real )?solutions?)\b"
)
"""What says that there is no value; all mean the same."""
MARKS = re.compile(r"[\"'`*;,!?“”…()\[\]{}|\\$~]|(?<!\w)[.:-](?!\d)|[.:-](?!\w)")
IRREGULAR = dict(
    pair.split(":")
    for pair in (
        "mice:mouse men:man women:woman children:child feet:foot teeth:tooth geese:goose people:person "
        "leaves:leaf knives:knife wolves:wolf oxen:ox rectangular:rectangle circular:circle triangular:triangle "
        "spherical:sphere cylindrical:cylinder conical:cone hexagonal:hexagon grey:gray lives:life shelves:shelf"
    ).split()
)


@lru_cache(maxsize=65536)
def plain(words: str) -> str:
    """Lower case, singular, digits for number words; no articles, no punctuation around words, single spaces."""
    if "\\" in words:
        words = normal(WRAPPING.sub(r"\1", words)).translate(FRAMES)
    words = bare = WRAPPING.sub(r"\1", words.strip())
    words = ENDS.sub("", LEAD_IN.sub("", words))
    if NONE_THERE.fullmatch(words.strip(" .").casefold()):
        return "dne"
    words = TITLES.sub("", SAME.sub(lambda match: f"{match[1]}{match[2]}" if match[1] else "usa", words.casefold()))
    words = ACRONYM.sub(lambda match: match[0].replace(".", ""), HYPHEN.sub(" ", words.casefold()))
    words = INITIALS.sub(lambda match: match[0].replace(" ", ""), " ".join(MARKS.sub(" ", words).split()))
    return " ".join(singular(word) for word in words.split() if not ARTICLES.fullmatch(word)) or bare


def singular(word: str) -> str:
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
