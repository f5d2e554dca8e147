"""Short text: the answer's words must be the ground truth's, case, articles and punctuation aside."""

import re
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.kinds.number import REFUSAL
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement

COPULA = re.compile(
    r"\b(?:is|are|was|were|be|shows?|says?|reads?|called|named|as|a picture of|it's|that's)\s+(?:a|an|the)?\b|[是为]", re.IGNORECASE
)
LEAD_IN = re.compile(r"^(?:so|thus|therefore|hence)?,?\s*(?:it|this|that|they|he|she)(?:'s| is| are| was| were)\s+", re.IGNORECASE)
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
WRAPPING = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathit|textit|operatorname)\s*\{([^{}]*)\}")
PUNCTUATION = re.compile(r"[^\w\s%$+\-/.:'&\u4e00-\u9fff]|[.:'](?!\w)|(?<!\w)['.:](?!\d)")


def read(text: str, statement: Statement, question: Question) -> Reading | None:
    """The words that a statement gives as its answer."""
    start, end = statement.start, statement.end
    if not statement.strict:
        if REFUSAL.search(text, start, end):
            return Reading(start, end, problem="refused")
        if not statement.explicit:
            verbs = list(COPULA.finditer(text, start, end))
            if not verbs:
                return None
            start = verbs[0].end()
    if statement.rule in ("marker", "phrase", "json", "heading", "direct"):
        sentence = re.compile(r"[.!?](?=\s+[A-Z]|\s*$)|\n").search(text, start + 1, end)
        end = sentence.start() if sentence else end
    words = text[start:end]
    left = len(words) - len(words.lstrip(" \t\n*\"':$`({["))
    right_ = len(words.rstrip(" \t\n*\"'.:,;!$`)}]"))
    if right_ <= left:
        return None
    return Reading(start + left, start + right_, words[left:right_])


def right(reading: Reading, question: Question) -> bool:
    """Whether the words are the same."""
    return plain(reading.value) == plain(question.answer or "")


@lru_cache(maxsize=65536)
def plain(words: str) -> str:
    """Lower case, no articles, no punctuation around words, single spaces."""
    words = WRAPPING.sub(r"\1", words)
    words = LEAD_IN.sub("", words.strip())
    words = PUNCTUATION.sub(" ", words.casefold())
    return " ".join(ARTICLES.sub(" ", words).split())
