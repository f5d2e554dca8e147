"""What a chain of thought claims about a figure, in whatever words: true, false, or nothing."""

import time
from dataclasses import replace

import pytest

from mixpo.questions.figures.steps import read
from mixpo.questions.steps import all_hold, steps_of
from mixpo.records import Question


@pytest.mark.parametrize(
    ("line", "held"),
    [
        ("Mia is 7.", [True]),
        ("mia is 7", [True]),
        ("Mia is 8.", [False]),
        ("Tom is 7.", [False]),  # nobody of that name is there
        ("7 + 7 * 7 = 56.", [True]),
        ("2 + 3 * 4 = 14.", [True]),
        ("7 - 3 - 2 = 2", [True]),
        ("3 * 4 - 2 = 11", [False]),
        ("7 > 3.", [True]),
        ("3 > 7.", [False]),
        ("3 = 4", [False]),
        ("Before the red ball: blue box.", [True]),
        ("Before the red ball: none.", [False]),
        ("So the answer is 7.", []),
        ("The final answer is 7.", []),
        ("The difference is 3.", []),  # a sum has said it
        ("There is one bar for Mia.", []),
        ("Mia is higher than the others.", []),
        ("Mia is 7 apples.", [True]),
        ("So Mia is 7.", [True]),
        ("1. Mia is 8.", [False]),
        ("- Mia is 8.", [False]),
        ("Mia is 7 and Tom is 2.", [True, False]),
        ("Before the red ball: a blue box.", [True]),
        ("Final answer: 7", []),
        ("Let me look.", []),
    ],
)
def test_claims(line, held):
    assert read(line, {"mia": "7", "before the red ball": "blue box"}).steps == held


TRUE = {
    "chart": {"ann": "7", "mon": "3", "the largest": "7", "above 5": "ann, leo"},
    "table": {"ann's cats": "3", "ann's pens": "4"},
    "room": {"from left to right": "red ball, blue box", "of them box": "blue box"},
    "triangle": {"the left": "50", "the right": "70", "the top": "x"},
    "clock": {"the clock": "3:20", "the long hand": "4"},
}


@pytest.mark.parametrize(
    ("of", "line", "held"),
    [
        # One line says several things.
        ("chart", "Ann is 7. Mon is 3. 7 - 3 = 5.", [True, True, False]),
        ("chart", "Ann: 7, Mon: 4", [True, False]),
        ("table", "Ann's cats: 3; Ann's pens: 4", [True, True]),
        ("chart", "Ann is 7 but Mon has 4.", [True, False]),
        ("room", "From left to right: red ball, blue box. Of them boxes: red ball.", [True, False]),
        # The same number, written in other ways, with a remark.
        ("chart", "**Ann** is 8", [False]),
        ("chart", "*Ann*: 8", [False]),
        ("chart", "(1) Ann = 8", [False]),
        ("chart", "Ann:8", [False]),
        ("chart", "Ann is eight.", [False]),
        ("chart", "Ann's bar is  8", [False]),
        ("chart", "Ann is -7", [False]),
        ("chart", "Ann is 7, the highest.", [True]),
        ("chart", "Ann is 7 (the tallest)!", [True]),
        ("chart", "Monday is 3.0", [True]),
        ("triangle", "Left angle: 50°.", [True]),
        ("clock", "The clock shows 3:20 p.m.", [True]),
        ("clock", "The time is 4:05.", []),  # perhaps that of later
        ("clock", "Minute hand: 9", [False]),
        # Comparisons, results and what nobody can read off claim nothing.
        ("chart", "Ann is 7 more than Mon.", []),
        ("chart", "Ann is 7 minus 2", []),
        ("clock", "The clock is 20 minutes past 3", []),
        ("chart", "Together: 10", []),
        ("triangle", "The top is 60.", []),
        # Lists are sets, but from left to right.
        ("chart", "Above 5: Leo and Ann (7).", [True]),
        ("chart", "Above 5: Leo.", [False]),
        ("chart", "Above 5: nobody", [False]),
        ("chart", "Above 5: 2", []),
        ("room", "From left to right: a red ball -> then one blue box", [True]),
        ("room", "From left to right: blue box, red ball", [False]),
        # Sums.
        ("chart", "7+3=12", [False]),
        ("chart", "7 × 3 = 21 apples", [True]),
        ("chart", "7 − 3 = 5", [False]),
        ("chart", "(7 + 3) = 10", [True]),
        ("chart", "Sum: 6 / 3 = 5", [False]),
        ("chart", "6 / 0 = 5", [False]),
        ("chart", f"{'9' * 5000} + 1 = 2", []),
    ],
)
def test_claims_in_other_words(of, line, held):
    assert read(line, TRUE[of]).steps == held


CHART = {"ann": "9", "ben": "3", "eva": "7", "above 5": "ann, eva"}
LEGEND = {"ann boys": "9", "ann girls": "4", "mon rain": "7"}
TABLE = {"ann's cats": "3", "ben's cats": "5", "ann's pens": "4", "ben's pens": "2"}
CLOCK = {"the clock": "3:20", "the long hand": "4"}
RECTANGLE = {"the width": "5", "the height": "3"}
TRIANGLE = {"the left": "50", "the right": "70", "the top": "x"}
ROOM = {"from left to right": "red ball, blue box", "at the front": "blue box", "of them red": "red ball"}


@pytest.mark.parametrize(
    ("true", "text", "held"),
    [
        # Each sentence and part of one says what it says, whatever leads up to it or follows.
        (CHART, "Ann is 9. Eva is 8. Therefore, Ann has 2 more.", [True, False]),
        (CHART, "Ann is 9. Eva is 8. Let me subtract.", [True, False]),
        (CHART, "How many has Ann? Ann is 10.", [False]),
        (CHART, "From the chart: Ann is 10, Eva is 7.", [False, True]),
        (CHART, "While Ann is 10, Eva is 7", [False, True]),
        (CHART, "The chart shows that Ann has 10 apples.", [False]),
        (CHART, "The value for Ann is 10", [False]),
        (CHART, "Ann (blue): 10", [False]),
        (CHART, "$\\text{Ann} = 10$", [False]),
        (CHART, "- **Ann**: 9\n- **Eva**: 7\n\n9 − 7 = **2**", [True, True, True]),
        (CHART, "Ann is 9, Eva is 7, so 9 - 7 = 3", [True, True, False]),
        # A thing by other words for it.
        (CHART, "Ann's bar is 9 and Eva's is 7.", [True, True]),
        (LEGEND, "Ann's boys is 9.", [True]),
        (LEGEND, "### Step 1: Boys for Ann: 8", [False]),
        (LEGEND, "Monday's rain is 7.", [True]),
        (TABLE, "Ann cats: 3", [True]),
        (TABLE, "Ann's cat is 4", [False]),
        (CLOCK, "The minute hand points to 4.", [True]),
        (CLOCK, "Minute hand: 20", [True]),
        (CLOCK, "The clock is 15:20.", [True]),
        (CLOCK, "The clock shows 4:20.", [False]),
        (RECTANGLE, "The length is 5 and the width is 3.", [True, True]),
        (RECTANGLE, "The length is 6.", [False]),
        (RECTANGLE, "The width is 3.", [False]),
        # Another that could be there, and is not.
        (CHART, "Tom is 9", [False]),
        (LEGEND, "Eva boys: 9", [False]),
        (TABLE, "Leo's cats: 3", [False]),
        # Words that name nothing.
        (CHART, "Look at Ann's bar, which is 9. She has 9 apples. One is 9 and the other is 7.", []),
        (CHART, "Nobody has 10. Max: 9. Min: 3. Range = 6. Ans: 2. a = 9, b = 7. Apples: 9", []),
        (TABLE, "Ann's lead: 2. Her cats: 3. Leo needs: 2.", []),
        (CHART, "A friend of theirs, who is 11, drew it.", []),
        # Comparisons and sums are no readings.
        (CHART, "Ann is 2 above Eva. Eva is 2 below Ann. Ann is 2 apples ahead. Ann has one bar.", []),
        (CHART, "Ann is 9,000. Ann is 9 hundred.", []),
        (CHART, "The sum of Ben and Ann is 12. Ann and Ben: 12.", []),
        (CHART, "Ann: 9 - 7 = 2", [True]),
        (CHART, "Ann: 8 > 5", [False, True]),
        (CHART, "Ann has 4 + 4 = 8 apples.", [False, True]),
        # What is supposed, denied or taken back.
        (CHART, "If, say, Ann is 10. Suppose Ann has 10. Ann is not 10. Ann isn't 10. Ann is 9, no 10.", []),
        (CHART, "Ann is 8.\nWait, no, Ann is 9.", []),
        # Lists of things, and of what else nobody knows.
        (CHART, "Above 5: both Ann and Eva, so two.", [True]),
        (CHART, "Above 5: Ann and Eva so the count is 2.", [True]),
        (CHART, "Above 5: Ann, Ben", [False]),
        (CHART, "Above 4: Ann, Eva", [False]),
        (CHART, "Above 5: two. Above 5: Ann, Eva, not Ben. Above 5: Ann and Eva only.", []),
        (ROOM, "At the front: red ball, so D.", [False]),
        (ROOM, "From left to right: first red ball, next blue box", [True]),
        (ROOM, "From left to right: red ball, and the blue box is last.", [True]),
        (ROOM, "Going from left to right, a red ball, then a blue box", [True]),
        (ROOM, "From left to right the red ball comes first. At the front: blue box, option B", []),
        (ROOM, "From left to right: red circle, blue square", []),
        (ROOM, "Of them red: ball", [True]),
        (ROOM, "Of them red: red", [False]),
        # Sums, with units, brackets, words, and one after the other.
        (CHART, "9 apples - 7 apples = 3 apples", [False]),
        (CHART, "9 minus 7 is 3", [False]),
        (CHART, "9 + 7 = 16 + 3 = 19", [True, True]),
        (CHART, "9 + 7 = 16 + 3 = 20", [True, False]),
        (CHART, "9 / 7 = 1.29", [True]),
        (CHART, "9 - 7 = 3.5", [False]),
        (CHART, "7 ≥ 9", [False]),
        (CHART, "\\(9 - 7 = 3\\)", [False]),
        (TRIANGLE, "50° + 70° = 130°", [False]),
        (TRIANGLE, "180 - 50 - 70 = 60", [True]),
        (RECTANGLE, "2 * (5 + 3) = 18", [False]),
        (RECTANGLE, "5 \\times 3 = 16 cm²", [False]),
        (RECTANGLE, "5x3=15", [True]),
        (CLOCK, "60 = 1 hour", []),
        # They vouch for nothing that was read wrongly.
        (CHART, "Ann shows 10 and Eva shows 8.\n10 - 8 = 2", [False, False, True]),
        (CHART, "The tallest bar reaches up to 10, the other up to 8.\n10 - 8 = 2\n2 + 2 = 4", [True, True]),
    ],
)
def test_as_models_write(true, text, held):
    assert read(text, true).steps == held


def test_sums_with_the_numbers_of_the_question():
    """45 minutes after 3:20."""
    chain = "The clock is 3:20. 20 + 45 = 65. 65 - 60 = 5. So the time is 4:05."
    question = Question(id="q", text="And 45 minutes later?", answer="4:05", meta={"facts": CLOCK, "chain": []})
    assert steps_of(question, chain) == [True, True, True]
    assert all_hold(question, chain) is True
    assert all_hold(replace(question, text="And later?"), chain) is None


def ask(text, true, chain=()):
    return Question(id="q", text=text, answer="2", meta={"facts": true, "chain": list(chain)})


SUN = {"rome rain": "6", "rome sun": "4", "mon sun": "3"}
DIFFERENCE = ("Ann is 9.", "Eva is 7.", "9 - 7 = 2.")


@pytest.mark.parametrize(
    ("question", "text", "hold"),
    [
        # What is counted, or what the question asks for, completes a name.
        (ask("How many cats?", TABLE), "Ann has 3 cats and Ben has 5 cats.", True),
        (ask("How many cats?", TABLE), "Ann has 4 pens", True),
        (ask("How many are Ann's?", TABLE), "Ann has 3 cats and 5 pens.", False),
        (ask("How many?", CHART), "Ann is 9, 7 apples.", True),
        (ask("What do the cats come to?", TABLE), "Ann: 3, Ben: 4", False),
        (ask("What do all cats and pens come to?", TABLE), "Ann: 7", None),
        (ask("How much is it for Rome?", SUN), "Rain: 6. Sun: 4. 6 - 4 = 2.", True),
        (ask("How much is it for Rome?", SUN), "Rain: 4. Sun: 6. 6 - 4 = 2.", False),
        (ask("What does sun come to?", SUN), "Add them: 4 + 3 = 7. Answer: 7", True),
        # Sums vouch with the numbers that the true chain needs.
        (ask("By how much?", CHART, DIFFERENCE), "| Ann | 9 |\n| Eva | 7 |\n9 - 7 = 2", True),
        (ask("By how much?", CHART, DIFFERENCE), "Ann is 9. 9 - 3 = 6.", None),
        (ask("Plus 4?", CHART, DIFFERENCE), "Ann is 9. 9 + 4 = 13.", True),
        (ask("Around it?", RECTANGLE), "2 × (5 + 3) = 2 × 8 = 16", True),
        # A number from elsewhere, and a comparison, in words that claim nothing themselves.
        (ask("By how much?", CHART, DIFFERENCE), "1. Ann - 9\n2. Eva - 7\n3. 9 - 7 = 2", True),
        (ask("By how much?", CHART, DIFFERENCE), "Ann has only 3 apples. Eva is 7.", False),
        (ask("By how much?", CHART, DIFFERENCE), "Its bars stand at 7 for Ann. 9 - 7 = 2.", None),
        (ask("When?", {"the clock": "2:10", "the long hand": "2"}), "The long hand points at the 10.", False),
        (ask("By how much?", CHART, DIFFERENCE), "Eva reads 8, I think. Ann is 9. 9 - 7 = 2.", None),
        (ask("How many?", CHART), "Ann is 9, five higher than Eva.", None),
        (ask("How many?", CHART), "It is large.", None),
        (ask("How many?", CHART), "The tallest bar reaches up to 10, the other up to 8.\n10 - 8 = 2\n2 + 2 = 4", None),
        (ask("How many?", CHART), "Eva is 7. (Ann is 3)", None),
        (ask("How many?", CHART), "Eva is 7. Ann would be 3.", None),
        (ask("How many?", CHART), "Eva is 7. Wait, Ann is 9.", None),
        (ask("How many?", CHART), "Eva is 7. Above 5: Ann, Ben, both are tall.", None),
        (ask("How many?", CHART), "Eva is 7. (9 - 7 = 3)", False),
        (ask("How many?", CHART), "Look at the chart and Ann is 8. Eva is 7.", False),
        (ask("How many?", CHART), "Ann and Ben are both at 9. Eva is 7.", None),
        (ask("Which time?", CLOCK), "The clock has two hands. The clock is 3:20.", True),
        (ask("Which time?", {"the clock": "2:10", "the long hand": "2"}), "The minute hand shows 10 minutes.", True),
        (ask("How many?", CHART), "9 < 7 + 3", True),
        (ask("How many?", CHART), "9 - 7 > 3", False),
        (ask("How many?", CHART), "9 > 7 > 9", False),
        (ask("How many?", CHART), "Ann is 9. 9 / 7 = 1.286", True),
        (ask("How many?", CHART), "9 / 7 = 1.28", False),
        (ask("How many?", CHART), "9 + 7 = -16 + 3", False),
    ],
)
def test_whether_all_holds(question, text, hold):
    assert all_hold(question, text) is hold


@pytest.mark.parametrize(
    "unit", ["a. ", "x and ", "a -> ", "(1 + ", "1 = ", "1 + 1 = ", "ann, ", "a is ", "\\text{a", "!", "."]
)
@pytest.mark.parametrize("before", ["", "Above 5: ", "Ann is "])
def test_long_text_takes_no_longer_than_it_is_long(unit, before):
    began = time.process_time()
    read(before + (unit * 40_000)[:40_000], CHART)
    assert time.process_time() - began < 5  # a tenth of a second; minutes where it grows with the square
