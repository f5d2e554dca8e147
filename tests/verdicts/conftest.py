"""A question and a response in one line."""

from collections.abc import Callable

import pytest

from mixpo.records import AnswerKind, FinishReason, Question, Response, Verdict
from mixpo.verdicts.verify import verify


def judged(
    text: str,
    answer: str | None,
    kind: AnswerKind | None = None,
    choices: tuple[str, ...] = (),
    *,
    finish: FinishReason = FinishReason.STOP,
    question: str = "?",
    precision: int | None = None,
    unit: str | None = None,
) -> Verdict:
    asked = Question(id="q", text=question, answer=answer, kind=kind, choices=choices, precision=precision, unit=unit)
    return verify(asked, Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=finish))


@pytest.fixture(scope="session")
def judge_text() -> Callable[..., Verdict]:
    """`judge_text(text, answer, kind, choices, …)`: the verdict on a response."""
    return judged
