"""Short text and ANLS."""

import pytest

from mixpo.records import AnswerKind, Outcome

CASES = (
    (AnswerKind.TEXT, "The answer is not blue.", "blue", False, {}),
    (AnswerKind.TEXT, "not blue", "blue", False, {}),
    (AnswerKind.TEXT, "It is not a dog.", "dog", False, {}),
    (AnswerKind.TEXT, "red or blue", "red", False, {}),
    (AnswerKind.TEXT, "unknown", "unknown", True, {}),
    (AnswerKind.TEXT, "\\text{blue}", "blue", True, {}),
    (AnswerKind.TEXT, "dogs", "dog", True, {}),
    (AnswerKind.TEXT, "The dog", "dog", True, {}),
    (AnswerKind.TEXT, "a red car", "red car", True, {}),
    (AnswerKind.TEXT, "car red", "red car", False, {}),
    (AnswerKind.TEXT, "It is a blue circle.", "blue circle", True, {}),
    (AnswerKind.TEXT, "The object is a blue circle.", "blue circle", True, {}),
    (AnswerKind.TEXT, "blue", "blue circle", False, {}),
    (AnswerKind.TEXT, "blue circle and red square", "blue circle", False, {}),
    (AnswerKind.TEXT, "Blue Circle", "blue circle", True, {}),
    (AnswerKind.TEXT, '"blue circle"', "blue circle", True, {}),
    (AnswerKind.TEXT, "Final answer: blue circle.", "blue circle", True, {}),
    (AnswerKind.TEXT, "Final answer: the blue circle", "blue circle", True, {}),
    (AnswerKind.TEXT, "The answer is a blue circle, because it is left.", "blue circle", True, {}),
    (AnswerKind.TEXT, "nothing", "nothing", True, {}),
    (AnswerKind.TEXT, "Nothing is there.", "nothing", False, {}),
    (AnswerKind.TEXT, "glasses", "glass", True, {}),
    (AnswerKind.TEXT, "New York", "new york", True, {}),
    (AnswerKind.TEXT, "U.S.", "US", True, {}),
    (AnswerKind.TEXT, "USA", "US", False, {}),
    (AnswerKind.TEXT, "ice-cream", "ice cream", True, {}),
    (AnswerKind.TEXT, "colour", "color", False, {}),
    (AnswerKind.TEXT, "C++", "C", False, {}),
    (AnswerKind.TEXT, "Coca-Cola", "coca cola", True, {}),
    (
        AnswerKind.TEXT,
        "Step 1: look. Step 2: the shape left is a blue circle. Final answer: blue circle",
        "blue circle",
        True,
        {},
    ),
    (AnswerKind.TEXT, "最终答案：蓝色圆形", "蓝色圆形", True, {}),
    (AnswerKind.TEXT, 'The word is "STOP".', "stop", True, {}),
    (AnswerKind.TEXT, "It says STOP", "stop", True, {}),
    (AnswerKind.TEXT, "stop sign", "stop", False, {}),
    (AnswerKind.DOCUMENT, "hello wrld", "hello world", True, {}),
    (AnswerKind.DOCUMENT, "goodbye", "hello world", False, {}),
    (AnswerKind.DOCUMENT, "Final answer: hello world", "hello world", True, {}),
)


@pytest.mark.parametrize(("kind", "text", "answer", "right", "more"), CASES)
def test_right_or_not(judge_text, kind, text, answer, right, more):
    assert (judge_text(text, answer, kind, **more).outcome is Outcome.CORRECT) is right
