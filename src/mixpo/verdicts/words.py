"""Words told apart without their endings, and what a question offers to choose from."""

import re
from functools import lru_cache

ENDING = re.compile(r"(?:ing|ies|es|ed|s|e|y)$")
OFFERED = re.compile(
    r"(?:[,:]|\b(?:is|are|was|were|does|do|did|a|an|the|or|more|less|than|be"
    r"|it)\b)\s+((?:[^\W\d_][\w'-]*\s?){1,3}?),? or (?:is |are |does |the |a |an "
    r")*((?:[^\W\d_][\w'-]*\s?){1,3})\s*[?.]?\s*$"
)
OFFERED_BEFORE = re.compile(
    r"^(?:is|are|was|were|does|do)\b.* ([^\W\d_]+) or ([^\W\d_]+) (?:the |an? )?[^\W\d_]+\s*\?*$"
)
FROM_TO = re.compile(r"\b(?:from )?(?:the )?([^\W\d_]+) to (?:the )?([^\W\d_]+)")
ASKING_WORDS = frozenset(
    "quantos quantas qual quais cuántos cuántas cuál cuánto combien quel quelle quels welche welcher welches wieviel "
    "wieviele quanti quante quanto сколько какая какой какова".split()
)
COMMA_WORDS = frozenset(
    "wie viele viel der die das ist le les est el los las il gli são há según según nach laut selon "
    "segundo de la".split()
)


def stem(word: str) -> str:
    """A word without its ending, enough to tell "releases" and "releasing" as the same."""
    return ENDING.sub("", word) if len(word) > 3 else word


@lru_cache(maxsize=4096)
def offered(question: str) -> tuple[str, ...]:
    """The two things that a question offers: "Which is taller, the oak or the elm?"; empty where it offers none."""
    asked = question.lower().strip()
    found = OFFERED.search(asked) or OFFERED_BEFORE.search(asked)
    return tuple(re.sub(r"^(?:the|a|an) ", "", part.strip()) for part in found.groups()) if found else ()


@lru_cache(maxsize=4096)
def decimal_comma(text: str) -> bool:
    """Whether a text is in a language that writes 12.500 for twelve and a half thousand."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    return any(word in ASKING_WORDS for word in words) or sum(word in COMMA_WORDS for word in words) >= 2


def in_reverse(said: str, asked: str) -> bool:
    """Whether "right to left", "dogs to cats" is said where the question has it the other way round; in lower case."""
    told, found = FROM_TO.search(asked), FROM_TO.search(said)
    return told is not None and found is not None and told.groups() == found.groups()[::-1]
