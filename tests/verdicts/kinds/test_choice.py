"""Multiple choice: letters where letters are meant, option texts, negation, hedging, echoes."""

import pytest

from mixpo.records import AnswerKind, Outcome

LENGTHS = ("3 cm", "5 cm", "7 cm", "9 cm")
LENGTH_CASES = (
    ("The correct answer is the reference answer.", "B", False),
    ("All options are correct: A, B, C and D.", "B", False),
    ("The answer is A or B or C or D.", "B", False),
    ("A B C D", "B", False),
    ("ABCD", "B", False),
    ('{"answer": "B"}', "B", True),
    ('{"answer": "B", "explanation": "A is too short"}', "B", True),
    ("<answer>B</answer>", "B", True),
    ("<answer> (B) 5 cm </answer>", "B", True),
    ("<think>\n</think>\n\n**B**", "B", True),
    ("At first glance the answer is B, but the correct answer is C.", "C", True),
    ("Final answer: B\n\nActually, C.", "B", False),
    ("The answer is C, not B.", "C", True),
    ("The answer is C, not B.", "B", False),
    ("The answer is C rather than B.", "C", True),
    ("\\boxed{\\text{B}}", "B", True),
    ("$\\boxed{B}$", "B", True),
    ("The final answer is $\\boxed{\\textbf{(C)}}$", "C", True),
    ("\\boxed{C: 7 cm}", "C", True),
    ("(A) 3 cm (B) 5 cm (C) 7 cm (D) 9 cm", "D", False),
    ("(A) 3 cm\n(B) 5 cm\n(C) 7 cm\n(D) 9 cm", "D", False),
    ("Please answer with A, B, C or D.", "D", False),
    ("Options:\nA. 3 cm\nB. 5 cm\nC. 7 cm\nD. 9 cm", "D", False),
    ("Options:\nA. 3 cm\nB. 5 cm\nC. 7 cm\nD. 9 cm\n\nThe length is 7 cm so C.", "C", True),
    ("Ｂ", "B", True),
    ("（Ｂ）", "B", True),
    ("**B**", "B", True),
    ("​B", "B", True),
    ("Б", "B", False),
    ("В", "B", False),
    ("𝐁", "B", True),
    ("答案是B", "B", True),
    ("故选B。", "B", True),
    ("因此选择C", "C", True),
    ("正确答案为：（C）7 cm", "C", True),
    ("选项B正确", "B", True),
    ("选B", "B", True),
    ("答案不是A，而是B。", "B", True),
    ("答案不是A", "A", False),
    ("无法确定答案", "A", False),
    ("A和B都对", "A", False),
    ("答案：A或B", "A", False),
    ("A person is walking.", "A", False),
    ("A", "A", True),
    ("a", "A", True),
    ("I see B.", "B", False),
    ("In triangle ABC, angle B is 30.", "B", False),
    ("I", "I", False),
    ("C is the answer", "C", True),
    ("C.", "C", True),
    ("C:", "C", True),
    ("[C]", "C", True),
    ('"C"', "C", True),
    ("The answer is a) 3 cm", "A", True),
    ("C) 7 cm", "C", True),
    ("C - 7 cm", "C", True),
    ("C 7 cm", "C", True),
    ("C, 7 cm", "C", True),
    ("Option C", "C", True),
    ("Choice (C).", "C", True),
    ("It should be option C because it is longer than B.", "C", True),
    ("B is correct.", "B", True),
    ("Hence B", "B", True),
    ("So, (B).", "B", True),
    ("Therefore, B is the correct option.", "B", True),
    ("I would go with B", "B", True),
    ("I'd choose option B.", "B", True),
    ("My pick: B", "B", True),
    ("The answer must be B", "B", True),
    ("Correct answer: B", "B", True),
    ("The correct option is **B**.", "B", True),
    ("Ans: B", "B", True),
    ("ANSWER: B", "B", True),
    ("answer: b", "B", True),
    ("Answer is b.", "B", True),
    ("The answer would be: (B)", "B", True),
    ("Thus the correct answer is $\\text{(B)}$", "B", True),
    ('The answer is "B".', "B", True),
    ("The best answer is B, because A is wrong.", "B", True),
    ("A is wrong. C is wrong. D is wrong. So it must be B.", "B", True),
    ("The length is 5 cm (option B).", "B", True),
    ("B) 5 cm is the answer", "B", True),
    ("The answer is B) 7 cm", "B", False),
    ("The answer is (A) 5 cm.", "A", False),
    ("A is not the answer.", "A", False),
    ("The answer isn't A.", "A", False),
    ("The answer is not A but B.", "B", True),
    ("The answer is not A but B.", "A", False),
    ("It is anything but A.", "A", False),
    ("Option A is incorrect.", "A", False),
    ("Either A or B.", "A", False),
    ("Maybe A, maybe B.", "A", False),
    ("I think it is B.", "B", True),
    ("Probably B", "B", True),
    ("A/B", "A", False),
    ("(A) or (B)", "A", False),
    ("B and C", "B", False),
    ("It could be A or it could be B.", "B", False),
    ("E", "A", False),
    ("(Z)", "A", False),
    ("The answer is 11 cm.", "A", False),
    ("Option F", "B", False),
)
OTHER_CASES = (
    (
        "\\boxed{36^{\\circ}}",
        "C",
        (
            "30°",
            "32°",
            "36°",
            "40°",
        ),
        True,
    ),
    (
        "Choices: (A) Yes (B) No",
        "B",
        (
            "Yes",
            "No",
        ),
        False,
    ),
    (
        "Cannot be determined",
        "B",
        (
            "Yes",
            "No",
        ),
        False,
    ),
    (
        "A cat",
        "B",
        (
            "A dog",
            "A cat",
        ),
        True,
    ),
    (
        "a dog",
        "A",
        (
            "dog",
            "cat",
        ),
        True,
    ),
    (
        "Vitamin C is important.",
        "C",
        (
            "A1",
            "B2",
            "C3",
            "D4",
        ),
        False,
    ),
    (
        "Point C",
        "C",
        (
            "Point A",
            "Point B",
            "Point C",
        ),
        True,
    ),
    (
        "red",
        "A",
        (
            "red",
            "blue",
        ),
        True,
    ),
    (
        "reddish",
        "A",
        (
            "red",
            "blue",
        ),
        False,
    ),
    (
        "not red",
        "A",
        (
            "red",
            "blue",
        ),
        False,
    ),
    (
        "It is red, not blue.",
        "A",
        (
            "red",
            "blue",
        ),
        True,
    ),
    (
        "Neither red nor blue",
        "A",
        (
            "red",
            "blue",
        ),
        False,
    ),
    (
        "The ball is blue and the cube is red.",
        "A",
        (
            "red",
            "blue",
        ),
        False,
    ),
    (
        "Red.",
        "A",
        (
            "red",
            "blue",
        ),
        True,
    ),
    (
        "dark red",
        "A",
        (
            "red",
            "dark red",
        ),
        False,
    ),
    (
        "dark red",
        "B",
        (
            "red",
            "dark red",
        ),
        True,
    ),
    (
        "The light red one",
        "A",
        (
            "red",
            "dark red",
        ),
        True,
    ),
    (
        "15",
        "A",
        (
            "5",
            "15",
        ),
        False,
    ),
    (
        "1.5",
        "A",
        (
            "5",
            "15",
        ),
        False,
    ),
    (
        "-5",
        "A",
        (
            "5",
            "15",
        ),
        False,
    ),
    (
        "5.0",
        "A",
        (
            "5",
            "15",
        ),
        True,
    ),
    (
        "five",
        "A",
        (
            "5",
            "15",
        ),
        True,
    ),
    (
        "increase",
        "A",
        (
            "increase",
            "decrease",
        ),
        True,
    ),
    (
        "It will decrease.",
        "A",
        (
            "increase",
            "decrease",
        ),
        False,
    ),
    (
        "larger than",
        "larger than",
        (
            "larger than",
            "equal to",
            "smaller than",
        ),
        True,
    ),
    (
        "None of the above",
        "D",
        (
            "x",
            "y",
            "z",
            "None of the above",
        ),
        True,
    ),
    (
        "Both A and B",
        "C",
        (
            "x",
            "y",
            "Both A and B",
        ),
        True,
    ),
    (
        "A and B",
        "A",
        (
            "x",
            "y",
            "Both A and B",
        ),
        False,
    ),
    (
        "\\frac{1}{2}",
        "A",
        (
            "\\frac{1}{2}",
            "\\frac{1}{3}",
        ),
        True,
    ),
    (
        "1/2",
        "A",
        (
            "\\frac{1}{2}",
            "\\frac{1}{3}",
        ),
        True,
    ),
    (
        "0.5",
        "A",
        (
            "\\frac{1}{2}",
            "\\frac{1}{3}",
        ),
        True,
    ),
    (
        "10√{3}m",
        "D",
        (
            "10m",
            "5m",
            "5√{3}m",
            "10√{3}m",
        ),
        True,
    ),
    (
        "The answer is 5√3 m",
        "C",
        (
            "10m",
            "5m",
            "5√{3}m",
            "10√{3}m",
        ),
        True,
    ),
    (
        "The answer is 10√3 m",
        "A",
        (
            "10m",
            "5m",
            "5√{3}m",
            "10√{3}m",
        ),
        False,
    ),
    (
        "It cannot be determined.",
        "E",
        (
            "3",
            "5",
            "6",
            "7",
            "It cannot be determined from the information given",
        ),
        True,
    ),
)


@pytest.mark.parametrize(("text", "answer", "right"), LENGTH_CASES)
def test_letters_and_lengths(judge_text, text, answer, right):
    assert (judge_text(text, answer, AnswerKind.CHOICE, LENGTHS).outcome is Outcome.CORRECT) is right


@pytest.mark.parametrize(("text", "answer", "choices", "right"), OTHER_CASES)
def test_options(judge_text, text, answer, choices, right):
    assert (judge_text(text, answer, AnswerKind.CHOICE, choices).outcome is Outcome.CORRECT) is right
