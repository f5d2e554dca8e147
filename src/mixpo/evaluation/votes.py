"""The vote among the responses to a question: which give the same answer, how often the most frequent one is right."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mixpo.records import AnswerKind, Outcome, Question, Response, Verdict
from mixpo.verdicts import verify
from mixpo.verdicts.infer import infer_kind

SUBSETS = 100
"""Subsets over which a vote is averaged."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A question and its responses with their verdicts, by number of the sample."""

    question: Question
    answers: tuple[tuple[Response, Verdict], ...]

    @property
    def right(self) -> list[bool]:
        return [verdict.outcome is Outcome.CORRECT for _, verdict in self.answers]


def voting() -> Callable[[Tried, int], float]:
    """Votes with the answers of every question put into classes once."""
    classes: dict[str, list[int | None]] = {}

    def vote(item: Tried, k: int) -> float:
        own = classes.get(item.question.id)
        if own is None:
            own = classes[item.question.id] = answer_classes(item)
        return majority(own, item.right, k, item.question.id)

    return vote


def majority(classes: Sequence[int | None], right: Sequence[bool], k: int, seed: str) -> float:
    """The chance that the answer given most often by k of the responses is right; of equally frequent ones the first
    drawn wins. Responses without an answer (None) have no vote."""
    n = len(classes)
    subsets = 1 if k == n else SUBSETS
    rng = random.Random(f"{seed}/{k}")
    total = 0.0
    for _ in range(subsets):
        drawn = rng.sample(range(n), k)
        votes: dict[int, list[int]] = {}
        for number in drawn:
            if (chosen := classes[number]) is not None:
                votes.setdefault(chosen, []).append(number)
        if votes:
            total += right[max(votes.values(), key=len)[0]]
    return total / subsets


def answer_classes(item: Tried) -> list[int | None]:
    """Which responses give the same answer, as the judge has it: a number for each class, None without an answer.

    Right ones are one class; a wrong one joins the first class whose answer the judge takes for the same.
    """
    leaders: list[str] = []
    classes: list[int | None] = []
    for _, verdict in item.answers:
        if verdict.outcome is Outcome.CORRECT:
            classes.append(0)
        elif verdict.outcome is not Outcome.INCORRECT or verdict.extracted is None:
            classes.append(None)
        else:
            said = verdict.extracted
            found = next((n for n, leader in enumerate(leaders, 1) if _same(item.question, leader, said)), None)
            if found is None:
                leaders.append(said)
                found = len(leaders)
            classes.append(found)
    return classes


def _same(question: Question, one: str, other: str) -> bool:
    if " ".join(one.lower().split()) == " ".join(other.lower().split()):
        return True
    kind = question.kind or infer_kind(question)
    if kind is AnswerKind.FREE_FORM:
        return False
    asked = replace(question, answer=one, kind=kind)
    return verify.verify(asked, verify.answering(asked, other)).outcome is Outcome.CORRECT
