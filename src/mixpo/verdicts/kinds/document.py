"""Answers read from documents: ANLS, as DocVQA defines it (arXiv 2007.00398, section 5): similarity at least 0.5."""

from collections.abc import Iterable

from mixpo.records import Question
from mixpo.verdicts.reading import Reading

THRESHOLD = 0.5
LONGEST = 1_000
"""Characters compared: the distance costs their product."""


def right(reading: Reading, question: Question) -> bool:
    """Whether 1 - NL(answer, truth) is at least 0.5."""
    return closest(question, reading.value) >= THRESHOLD


def closest(question: Question, answers: Iterable[str]) -> float:
    """The highest similarity of an answer to one of the truths (separated by `|`), case and spaces aside."""
    truths = (question.answer or "").split("|")
    return max(similarity(_folded(truth), _folded(answer)) for truth in truths for answer in answers)


def _folded(words: str) -> str:
    return " ".join(words.lower().split())


def similarity(truth: str, answer: str) -> float:
    """1 - Levenshtein distance / length of the longer text."""
    longest = max(len(truth), len(answer))
    if not longest:
        return 1.0
    if longest > LONGEST or min(len(truth), len(answer)) < longest * THRESHOLD:
        return 0.0
    previous = list(range(len(answer) + 1))
    for row, left in enumerate(truth, 1):
        current = [row]
        for column, right_ in enumerate(answer, 1):
            current.append(min(previous[column] + 1, current[-1] + 1, previous[column - 1] + (left != right_)))
        previous = current
    return 1 - previous[-1] / longest
