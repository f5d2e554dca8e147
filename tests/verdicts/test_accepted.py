"""A question with several ground truths: a response is right when it gives any of them."""

from dataclasses import replace

import pytest

from mixpo.json_lines import from_json, to_json
from mixpo.records import AnswerKind, Outcome, Question
from mixpo.verdicts.llm_prompt import cache_key, reference
from mixpo.verdicts.truths import unanswerable
from mixpo.verdicts.verify import answering, verify

HALF = Question(id="q", text="How much?", answer="1/2", accepted=("0.5", "one half"))


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("1/2", Outcome.CORRECT),
        ("0.5", Outcome.CORRECT),
        ("one half", Outcome.CORRECT),
        ("0.4", Outcome.INCORRECT),
        ("1/3", Outcome.INCORRECT),
    ],
)
def test_any_of_them_is_right(answer, outcome):
    assert verify(HALF, answering(HALF, answer)).outcome is outcome


def test_words_beside_a_number():
    question = Question(id="q", text="Which gas?", answer="CO2", accepted=("carbon dioxide", "44"))
    assert verify(question, answering(question, "carbon dioxide")).kind is AnswerKind.TEXT
    assert verify(question, answering(question, "44")).outcome is Outcome.CORRECT
    assert verify(question, answering(question, "oxygen")) == verify(
        replace(question, accepted=()), answering(question, "oxygen")
    )


def test_one_that_cannot_be_compared_leaves_it_open():
    question = Question(id="q", text="Which?", answer="E", accepted=("A",), kind=AnswerKind.CHOICE, choices=("a", "b"))
    assert verify(question, answering(question, "B")).outcome is Outcome.UNDECIDED
    assert verify(question, answering(question, "A")).outcome is Outcome.CORRECT


def test_one_that_can_be_matched_is_enough():
    question = Question(id="q", text="?", answer="E", accepted=("A",), choices=("a", "b"))
    assert unanswerable(question) is None
    assert "none of the options" in (unanswerable(replace(question, accepted=("F",))) or "")


def test_the_record_and_the_judge_s_cache_are_as_before_without():
    question = Question(id="q", text="?", answer="a")
    assert to_json(question) == '{"id": "q", "text": "?", "answer": "a"}'
    assert from_json(Question, to_json(HALF)) == HALF
    assert cache_key("m", question, "x").startswith("5dcf4c9c11245f6e70b08856138e5c03e6fb0de3")
    assert reference(question) == "a"
    assert reference(HALF) == "1/2 <OR> 0.5 <OR> one half"
