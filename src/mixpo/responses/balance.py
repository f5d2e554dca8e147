"""Adaptive sampling: a question is drawn in rounds until it has enough right and enough wrong responses.

Pairs need both. Where a question has them early, the rest of its n responses would give pairs above the cap.
A sample is the same whether it is drawn in one round or in four, so what is written is a beginning of what
sampling all n would write.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mixpo.records import Dropped, DropReason, Outcome, Question, Response

Judge = Callable[[Question, Response], Outcome]
"""Whether a response is right. `responses` may not import `verdicts`: who runs the step hands the judge over."""
Draw = Callable[[Sequence[Question], range], Iterator[Response | Dropped]]
"""The numbered samples of each question, or one `Dropped` for a question that cannot be asked."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """When a question has enough responses. The defaults give 4 x 4 pairs, above the paper's cap of 15."""

    correct: int = 4
    """CORRECT responses, each text once."""
    incorrect: int = 4
    """INCORRECT ones, each text once; UNPARSED and TRUNCATED ones do not count."""
    round: int = 8
    """Responses drawn before the verdicts are looked at again; the prompt is encoded once a round."""

    def __post_init__(self) -> None:
        if min(self.correct, self.incorrect, self.round) < 1:
            raise ValueError("correct, incorrect and round must be at least 1")


@dataclass(slots=True)
class Tally:
    """The different texts of one question by their verdict; texts that differ in outer white space are one."""

    question: Question
    right: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)

    def count(self, response: Response, judge: Judge) -> None:
        outcome = judge(self.question, response)
        if outcome is Outcome.CORRECT:
            self.right.add(response.text.strip())
        elif outcome is Outcome.INCORRECT:
            self.wrong.add(response.text.strip())

    def balanced(self, rule: Balance) -> bool:
        return len(self.right) >= rule.correct and len(self.wrong) >= rule.incorrect


def until_balanced(
    questions: Sequence[Question], n: int, rule: Balance, draw: Draw, judge: Judge
) -> Iterator[Response | Dropped]:
    """Up to n responses of each question; a `Dropped` (BALANCED) counts those that were not needed."""
    open_ones = {question.id: Tally(question) for question in questions}
    for start in range(0, n, rule.round):
        numbers = range(start, min(n, start + rule.round))
        for record in draw([tally.question for tally in open_ones.values()], numbers):
            if isinstance(record, Dropped):
                open_ones.pop(record.id, None)
            elif record.question_id in open_ones:  # a server may refuse one sample and answer another
                open_ones[record.question_id].count(record, judge)
            yield record
        saved = n - numbers.stop
        for tally in [tally for tally in open_ones.values() if saved and tally.balanced(rule)]:
            del open_ones[tally.question.id]
            yield _balanced(tally, numbers.stop, saved)
        if not open_ones:
            return


def _balanced(tally: Tally, drawn: int, saved: int) -> Dropped:
    detail = f"{len(tally.right)} right and {len(tally.wrong)} wrong among {drawn} responses: no more were drawn"
    return Dropped(id=tally.question.id, step="sample", reason=DropReason.BALANCED, detail=detail, count=saved)
