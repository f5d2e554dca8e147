"""Expressions and equations: equal by text, value, algebra."""

import pytest

from mixpo.records import AnswerKind, Outcome

CASES = (
    (AnswerKind.EXPRESSION, "\\boxed{x>2}", "x<2", False, {}),
    (AnswerKind.EXPRESSION, "$x^2+2x+1$", "(x+1)^2", True, {}),
    (AnswerKind.EXPRESSION, "$x^2+2x+2$", "(x+1)^2", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{2(x+1)}", "2x+2", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{\\frac{1}{2}}", "0.5", True, {}),
    (AnswerKind.EXPRESSION, "x=5", "5", True, {}),
    (AnswerKind.EXPRESSION, "y = 2x + 3", "y=2x+3", True, {}),
    (AnswerKind.EXPRESSION, "y = 3 + 2x", "y=2x+3", True, {}),
    (AnswerKind.EXPRESSION, "y - 2x = 3", "y=2x+3", True, {}),
    (AnswerKind.EXPRESSION, "y = 2x - 3", "y=2x+3", False, {}),
    (AnswerKind.EXPRESSION, "The answer is $\\sin x$.", "\\sin x", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{\\sin(x)^2+\\cos(x)^2}", "1", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{(1,2)}", "(1,2)", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{(2,1)}", "(1,2)", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{9^{9^{9^9}}}", "9", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{x<2}", "x>2", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{-5}", "5", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{\\sqrt{8}}", "2\\sqrt{2}", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{3\\pi}", "3\\pi", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{9.42}", "3\\pi", False, {}),
    (AnswerKind.EXPRESSION, "The slope is 2x.", "2x", True, {}),
    (AnswerKind.EXPRESSION, "Final answer: 2x + 3", "2x+3", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{a+b}", "b+a", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{ab}", "a+b", False, {}),
    (AnswerKind.EXPRESSION, "\\boxed{x^{-1}}", "1/x", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{xy}", "yx", True, {}),
    (AnswerKind.EXPRESSION, "\\boxed{1,234}", "1234", True, {}),
)


@pytest.mark.parametrize(("kind", "text", "answer", "right", "more"), CASES)
def test_right_or_not(judge_text, kind, text, answer, right, more):
    assert (judge_text(text, answer, kind, **more).outcome is Outcome.CORRECT) is right
