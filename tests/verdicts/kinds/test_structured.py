"""Ratios, intervals, dates, times, lists and sets."""

import pytest

from mixpo.records import AnswerKind, Outcome

CASES = (
    (AnswerKind.RATIO, "1:4", "2:8", True, {}),
    (AnswerKind.RATIO, "4:1", "1:4", False, {}),
    (AnswerKind.RATIO, "1 to 4", "1:4", True, {}),
    (AnswerKind.RATIO, "1/4", "1:4", True, {}),
    (AnswerKind.RATIO, "1:2:3", "2:4:6", True, {}),
    (AnswerKind.RATIO, "The ratio is 2:8, i.e. 1:4.", "1:4", True, {}),
    (AnswerKind.RATIO, "The ratio is 3 : 5", "3:5", True, {}),
    (AnswerKind.INTERVAL, "The answer is 10-20.", "10-20", True, {}),
    (AnswerKind.INTERVAL, "between 10 and 20", "10-20", True, {}),
    (AnswerKind.INTERVAL, "[2, 5)", "[2,5)", True, {}),
    (AnswerKind.INTERVAL, "[2, 5]", "[2,5)", False, {}),
    (AnswerKind.INTERVAL, "x > 2", "x < 2", False, {}),
    (AnswerKind.INTERVAL, "x > 2", "x>2", True, {}),
    (AnswerKind.INTERVAL, "x ≥ 2", "x > 2", False, {}),
    (AnswerKind.INTERVAL, "(2, 5)", "(2,5)", True, {}),
    (AnswerKind.INTERVAL, "11-15 years old", "11-15", True, {}),
    (AnswerKind.DATE, "July 4, 1776", "4 July 1776", True, {}),
    (AnswerKind.DATE, "1776-07-04", "July 4, 1776", True, {}),
    (AnswerKind.DATE, "07/04/1776", "July 4, 1776", True, {}),
    (AnswerKind.DATE, "July 5, 1776", "July 4, 1776", False, {}),
    (AnswerKind.DATE, "July 4", "July 4, 1776", False, {}),
    (AnswerKind.DATE, "The 4th of July 1776", "July 4, 1776", True, {}),
    (AnswerKind.DATE, "1776年7月4日", "July 4, 1776", True, {}),
    (AnswerKind.TIME, "3:30 PM", "3:30", True, {}),
    (AnswerKind.TIME, "15:30", "3:30 PM", True, {}),
    (AnswerKind.TIME, "3:30 AM", "3:30 PM", False, {}),
    (AnswerKind.TIME, "quarter past three", "3:15", True, {}),
    (AnswerKind.TIME, "quarter to four", "3:45", True, {}),
    (AnswerKind.TIME, "It is three o'clock.", "3:00", True, {}),
    (AnswerKind.TIME, "3:03", "3:30", False, {}),
    (AnswerKind.TIME, "03:30", "3:30", True, {}),
    (AnswerKind.TIME, "The clock shows 3:30.", "3:30", True, {}),
    (AnswerKind.TIME, "ten past five", "5:10", True, {}),
    (AnswerKind.TIME, "twenty-five to six", "5:35", True, {}),
    (AnswerKind.TIME, "noon", "12:00", True, {}),
    (AnswerKind.TIME, "3点半", "3:30", True, {}),
    (AnswerKind.LIST, "Final answer: [i for i in range(3)]", "[0, 1, 2]", False, {}),
    (AnswerKind.LIST, "1, 2, 3", "[1, 2, 3]", True, {}),
    (AnswerKind.LIST, "1, 2 and 3", "[1, 2, 3]", True, {}),
    (AnswerKind.LIST, "The answer is [1,2,3].", "[1, 2, 3]", True, {}),
    (AnswerKind.LIST, "1 2 3", "[1, 2, 3]", True, {}),
    (AnswerKind.LIST, "[1, 2, 3, 4]", "[1, 2, 3]", False, {}),
    (AnswerKind.LIST, "red, blue", "[red, blue]", True, {}),
    (AnswerKind.LIST, "blue, red", "[red, blue]", False, {}),
    (AnswerKind.LIST, "['red', 'blue']", "[red, blue]", True, {}),
    (AnswerKind.LIST, "(1, 2)", "[1, 2]", True, {}),
    (AnswerKind.LIST, "\\boxed{1, 2, 3}", "[1,2,3]", True, {}),
    (AnswerKind.LIST, "The years are 2007 and 2008.", "[2007, 2008]", True, {}),
    (AnswerKind.SET, "[3,2,1]", "[1, 2, 3]", True, {}),
    (AnswerKind.SET, "blue and red", "[red, blue]", True, {}),
    (AnswerKind.SET, "[1, 2, 2]", "[1,2]", False, {}),
    (AnswerKind.SET, "{1, 2}", "[1, 2]", True, {}),
)


@pytest.mark.parametrize(("kind", "text", "answer", "right", "more"), CASES)
def test_right_or_not(judge_text, kind, text, answer, right, more):
    assert (judge_text(text, answer, kind, **more).outcome is Outcome.CORRECT) is right
