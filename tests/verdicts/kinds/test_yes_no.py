"""Yes and no, true and false, and sentences that repeat or deny the question."""

import pytest

from mixpo.records import AnswerKind, Outcome

CASES = (
    (AnswerKind.YES_NO, "yes and no", "yes", False, {}),
    (AnswerKind.YES_NO, "Yes/No", "yes", False, {}),
    (AnswerKind.YES_NO, "yes or no", "no", False, {}),
    (AnswerKind.YES_NO, "是", "yes", True, {}),
    (AnswerKind.YES_NO, "不是", "yes", False, {}),
    (AnswerKind.YES_NO, "是的，有一只狗。", "yes", True, {}),
    (AnswerKind.YES_NO, "没有", "no", True, {}),
    (AnswerKind.YES_NO, "最终答案：是", "yes", True, {}),
    (AnswerKind.YES_NO, "错误", "false", True, {}),
    (AnswerKind.YES_NO, "该说法不正确", "false", True, {}),
    (AnswerKind.YES_NO, "not yes", "yes", False, {}),
    (AnswerKind.YES_NO, "The answer is not yes.", "yes", False, {}),
    (AnswerKind.YES_NO, "It is not true.", "true", False, {}),
    (AnswerKind.YES_NO, "It is not true.", "false", True, {}),
    (AnswerKind.YES_NO, "Maybe", "yes", False, {}),
    (AnswerKind.YES_NO, "Yes and no.", "yes", False, {}),
    (AnswerKind.YES_NO, "I cannot answer that.", "no", False, {}),
    (AnswerKind.YES_NO, "No answer", "no", False, {}),
    (AnswerKind.YES_NO, "I do not know", "no", False, {}),
    (AnswerKind.YES_NO, "There is no way to tell.", "no", False, {}),
    (AnswerKind.YES_NO, "Not sure", "no", False, {}),
    (AnswerKind.YES_NO, "No information is given.", "no", False, {}),
    (AnswerKind.YES_NO, "No idea.", "no", False, {}),
    (AnswerKind.YES_NO, "No comment", "no", False, {}),
    (AnswerKind.YES_NO, "Yes.", "Yes", True, {}),
    (AnswerKind.YES_NO, "Yes, it is.", "no", False, {}),
    (AnswerKind.YES_NO, "No, it is not.", "no", True, {}),
    (
        AnswerKind.YES_NO,
        "No dogs are visible in the image.",
        "no",
        True,
        {"question": "Are dogs visible in the image?"},
    ),
    (AnswerKind.YES_NO, "There are dogs in the image.", "yes", True, {"question": "Are there dogs in the image?"}),
    (AnswerKind.YES_NO, "There are cats in the image.", "yes", False, {"question": "Are there dogs in the image?"}),
    (AnswerKind.YES_NO, "The answer is yes.", "yes", True, {}),
    (AnswerKind.YES_NO, "The answer is no, because yes would need a dog.", "no", True, {}),
    (AnswerKind.YES_NO, "The statement is true.", "true", True, {}),
    (AnswerKind.YES_NO, "The statement is incorrect.", "false", True, {}),
    (AnswerKind.YES_NO, "Thus, the statement is not correct.", "false", True, {}),
    (AnswerKind.YES_NO, "It is false that there are 3 dogs.", "false", True, {}),
    (AnswerKind.YES_NO, "True", "yes", True, {}),
    (AnswerKind.YES_NO, "Final answer: False", "false", True, {}),
    (AnswerKind.YES_NO, "Know", "no", False, {}),
    (AnswerKind.YES_NO, "nothing", "no", False, {}),
    (AnswerKind.YES_NO, "Notable", "no", False, {}),
    (AnswerKind.YES_NO, "yesterday", "yes", False, {}),
    (AnswerKind.YES_NO, "yes yes yes", "yes", True, {}),
    (AnswerKind.YES_NO, "The man is not wearing a hat.", "no", True, {"question": "Is the man wearing a hat?"}),
    (AnswerKind.YES_NO, "The man isn't wearing a hat.", "no", True, {"question": "Is the man wearing a hat?"}),
    (AnswerKind.YES_NO, "The man is wearing a hat.", "yes", True, {"question": "Is the man wearing a hat?"}),
    (AnswerKind.YES_NO, "The left image has 3 dogs and the right has 2, so the statement is false.", "false", True, {}),
    (AnswerKind.YES_NO, "Correct.", "true", True, {}),
    (AnswerKind.YES_NO, "That is right.", "true", True, {}),
    (AnswerKind.YES_NO, "I would say no.", "no", True, {}),
    (AnswerKind.YES_NO, "So the answer: no", "no", True, {}),
    (AnswerKind.YES_NO, "**No**, there are more cats.", "no", True, {}),
    (AnswerKind.YES_NO, "Absolutely yes", "yes", True, {}),
    (AnswerKind.YES_NO, "Yes, that is correct: the man is not tall.", "yes", True, {}),
)


@pytest.mark.parametrize(("kind", "text", "answer", "right", "more"), CASES)
def test_right_or_not(judge_text, kind, text, answer, right, more):
    assert (judge_text(text, answer, kind, **more).outcome is Outcome.CORRECT) is right
