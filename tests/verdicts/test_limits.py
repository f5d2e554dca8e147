"""Ground truths that would make the judge slow are not read: the row is left out, and says why."""

import time

import pytest

from mixpo.records import AnswerKind, Outcome, Question
from mixpo.verdicts.truths import unanswerable
from mixpo.verdicts.verify import answering, verify

DIGITS = "7" * 1_000_000


@pytest.mark.parametrize(
    ("kind", "answer", "more", "why"),
    [
        (None, "1.5", {"precision": 100_000_000}, r"compared at 0 to 100 decimals \(`precision`\), not at 100000000"),
        (AnswerKind.DECIMAL, "1.5", {"precision": -1}, "compared at 0 to 100 decimals"),
        (AnswerKind.NUMBER, DIGITS, {}, "too long: 1,000,000 characters, of the kind number at most 1,000 are read"),
        (AnswerKind.FRACTION, f"\\frac{{{DIGITS}}}{{{DIGITS}}}", {}, "too long"),
        (AnswerKind.LIST, "1" + "\n" * 900 + "2", {}, "torn apart by more than 50 blanks"),
        (AnswerKind.TEXT, "a" * 100_001, {}, "too long: 100,001 characters, of the kind text at most 100,000"),
        (
            AnswerKind.CHOICE,
            "C",
            {"choices": tuple(map(str, range(100_000)))},
            "one of 100,000 options, and at most 1,000",
        ),
        (None, "A", {"choices": ("9" * 20_000, "1")}, "among options of which one has more than 5,000 characters"),
    ],
)
def test_what_would_hang_the_judge_is_left_out(kind, answer, more, why):
    """`precision: 100000000` took minutes and then said that the judge had failed."""
    question = Question(id="q", text="?", answer=answer, kind=kind, **more)
    started = time.thread_time()
    with pytest.raises(AssertionError, match=why):
        assert not (said := unanswerable(question)), said
    assert verify(question, answering(question, "5")).outcome is Outcome.UNDECIDED
    assert time.thread_time() - started < 1


def test_what_is_long_and_within_the_limits_is_judged():
    for kind, answer in (
        (AnswerKind.TEXT, "word " * 100),
        (AnswerKind.INTEGER, "7" * 300),
        (AnswerKind.DECIMAL, "0.5"),
    ):
        question = Question(
            id="q", text="?", answer=answer.strip(), kind=kind, precision=100 if kind == "decimal" else None
        )
        assert unanswerable(question) is None, kind
        assert verify(question, answering(question, question.answer)).outcome is Outcome.CORRECT, kind


def test_options_of_many_digits_are_judged_in_time():
    """26 of 3,000 digits took ten seconds: a pattern began at each digit of a number anew."""
    question = Question(id="q", text="?", answer="C", choices=tuple("9" * 3_000 + str(n) for n in range(26)))
    started = time.thread_time()
    verify(question, answering(question, question.choices[2]))
    assert time.thread_time() - started < 3
