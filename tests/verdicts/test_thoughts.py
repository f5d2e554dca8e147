"""Nothing that a model thinks is an answer: thoughts in tags, thoughts that the prompt opened, thoughts cut off."""

import pytest

from mixpo.prompts import THOUGHTS, opens_thought
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.verify import answering, verify

ASKED = Question(id="q", text="How many chairs are there?", answer="5")


def outcome(text: str, *, opened: bool = False, finish: FinishReason = FinishReason.STOP, thoughts=()) -> Outcome:
    response = Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=finish, thought_open=opened)
    return verify(ASKED, response, thoughts=thoughts).outcome


@pytest.mark.parametrize(("opening", "closing"), THOUGHTS)
def test_tags(opening, closing):
    assert outcome(f"{opening}Final answer: 5{closing}Final answer: 6") is Outcome.INCORRECT
    assert outcome(f"{opening}Final answer: 6{closing}Final answer: 5") is Outcome.CORRECT
    assert outcome(f"{opening.upper()}Final answer: 5") is Outcome.UNPARSED
    assert outcome(f"{opening}Final answer: 5", finish=FinishReason.LENGTH) is Outcome.TRUNCATED


def test_a_thought_that_the_prompt_opened():
    assert outcome("Let me count. Final answer: 5") is Outcome.CORRECT
    assert outcome("Let me count. Final answer: 5", opened=True) is Outcome.UNPARSED
    assert outcome("Let me count. Final answer: 5", opened=True, finish=FinishReason.LENGTH) is Outcome.TRUNCATED
    assert outcome("Is it 6? Final answer: 6</think>Final answer: 5", opened=True) is Outcome.CORRECT
    assert outcome("Final answer: 5</think>There are 6.", opened=True) is Outcome.INCORRECT


def test_tags_of_your_own():
    text = "<scratch>Final answer: 6</scratch> 5"
    assert outcome("<scratch>Final answer: 5", thoughts=("<scratch>",)) is Outcome.UNPARSED
    assert outcome(text, thoughts=("<scratch>",)) is Outcome.CORRECT


@pytest.mark.parametrize("opening", [opening for opening, _ in THOUGHTS])
def test_a_prompt_that_ends_in_a_thought(opening):
    assert opens_thought(f"<|im_start|>assistant\n{opening}\n")
    assert not opens_thought(f"<|im_start|>assistant\n{opening}\n\n</think>\n\n")
    assert not opens_thought("<|im_start|>assistant\n")


@pytest.mark.parametrize(
    "marked",
    [
        "<ref>cat</ref>",
        "<ref>cat</ref><box>[[1, 2, 3, 4]]</box>",
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>",
    ],
)
def test_marks_of_a_place_in_the_picture_are_no_part_of_an_answer(marked):
    asked = Question(id="q", text="What is it?", answer="cat", kind=AnswerKind.TEXT)
    assert verify(asked, answering(asked, marked)).extracted == "cat"
    assert verify(asked, answering(asked, marked)).outcome is Outcome.CORRECT
    assert verify(asked, answering(asked, marked.replace("cat", "dog"))).outcome is Outcome.INCORRECT


def test_a_place_may_be_the_answer():
    asked = Question(id="q", text="Where is it?", answer="[1, 2, 3, 4]", kind=AnswerKind.LIST)
    assert verify(asked, answering(asked, "<box>[1, 2, 3, 4]</box>")).outcome is Outcome.CORRECT
