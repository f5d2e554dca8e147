"""What must not matter never does, and what must matter always does."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.verdicts.verify import verify

OPTIONS = ("red cube", "green ball", "7 cm", "12 cm")
TRUTHS = (
    (AnswerKind.INTEGER, "42", ("42", "-42", "43", "4", "2", "420")),
    (AnswerKind.INTEGER, "-7", ("-7", "7", "-8", "0")),
    (AnswerKind.DECIMAL, "2.50", ("2.50", "2.5", "2.4", "25", "-2.5")),
    (AnswerKind.PERCENT, "25%", ("25%", "25", "2.5%", "-25%")),
    (AnswerKind.CHOICE, "B", ("B", "(B)", "A", "(C)", "green ball", "7 cm")),
    (AnswerKind.YES_NO, "no", ("no", "yes", "No", "Yes")),
    (AnswerKind.YES_NO, "true", ("true", "false", "yes", "no")),
    (AnswerKind.TEXT, "blue circle", ("blue circle", "red circle", "circle", "blue")),
    (AnswerKind.TIME, "3:30", ("3:30", "3:03", "15:30", "4:30")),
    (AnswerKind.RATIO, "1:4", ("1:4", "2:8", "4:1")),
    (AnswerKind.FRACTION, "3/4", ("3/4", "6/8", "4/3", "-3/4")),
    (AnswerKind.LIST, "[1, 2, 3]", ("[1, 2, 3]", "[2, 1, 3]", "[1, 2]")),
    (AnswerKind.EXPRESSION, "2x+4", ("2x+4", "2(x+2)", "2x-4", "4x+2")),
)
EXPLANATIONS = (
    "First I look at the left side.",
    "There are 3 red cubes and 5 green balls.",
    "In step 2, 3 + 5 = 8.",
    "A person stands next to a tree.",
    "It is not the blue one, I think.",
    "Option (A) seems too short, and (D) is too long.",
    "No clear shadow is visible, yes, but that is fine.",
    "The time on the wall is 9:15.",
    "My first guess is 17.",
    "$y = 3z - 1$ follows.",
    "左边有两个球。",
)
MARKERS = (
    "Final answer: {}",
    "Final Answer: {}.",
    "**Final answer:** {}",
    "Answer: {}",
    "answer: {}",
    "ANSWER: {}",
    "The answer is {}.",
    "So the final answer is: {}",
    "The correct answer is **{}**.",
    "\\boxed{{{}}}",
    "Therefore, $\\boxed{{{}}}$.",
    "<answer>{}</answer>",
    "## Answer\n\n{}",
    "最终答案：{}",
    "答案是{}。",
    '{{"answer": "{}"}}',
    "<think>Perhaps 99. The answer is 98.</think>\nFinal answer: {}",
    "Final answer: {}</s>",
    "Final answer: {}\n\nQuestion: And how many trees?\nFinal answer: 77",
)


def outcome(kind: AnswerKind, truth: str, text: str) -> Outcome:
    question = Question(id="q", text="?", answer=truth, kind=kind, choices=OPTIONS if kind is AnswerKind.CHOICE else ())
    response = Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=FinishReason.STOP)
    return verify(question, response).outcome


def answers() -> st.SearchStrategy:
    return st.sampled_from([(kind, truth, said) for kind, truth, all_said in TRUTHS for said in all_said])


@pytest.mark.parametrize(("kind", "truth", "said"), [(kind, truth, said[0]) for kind, truth, said in TRUTHS])
def test_the_truth_is_correct(kind, truth, said):
    assert outcome(kind, truth, said) is Outcome.CORRECT


@given(answers(), st.sampled_from(MARKERS))
def test_markers_do_not_matter(answer, marker):
    kind, truth, said = answer
    assert outcome(kind, truth, marker.format(said)) is outcome(kind, truth, said)


@settings(max_examples=300)
@given(
    answers(),
    st.lists(st.sampled_from(EXPLANATIONS), max_size=5),
    st.sampled_from(MARKERS[:10]),
    st.sampled_from(" \n"),
)
def test_explanation_before_does_not_matter(answer, explanation, marker, gap):
    kind, truth, said = answer
    text = gap.join([*explanation, marker.format(said)])
    assert outcome(kind, truth, text) is outcome(kind, truth, said)


@given(answers(), st.sampled_from(MARKERS[:7]), st.integers(0, 3), st.sampled_from(["", " ", "\n", "  \n", "\t"]))
def test_spacing_does_not_matter(answer, marker, inner, outer):
    kind, truth, said = answer
    spaced = marker.replace(" {}", " " * (inner + 1) + "{}").format(said)
    assert outcome(kind, truth, outer + spaced + outer) is outcome(kind, truth, said)


@given(answers(), st.sampled_from(MARKERS[:7]), st.sampled_from([str.lower, str.upper, str.title]))
def test_case_does_not_matter(answer, marker, change):
    kind, truth, said = answer
    if kind is AnswerKind.EXPRESSION:
        return  # x and X are different letters
    assert outcome(kind, truth, change(marker.format(said))) is outcome(kind, truth, said)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.sampled_from(MARKERS), st.booleans())
def test_another_integer_is_wrong(truth, said, marker, grouped):
    written = f"{said:,}" if grouped else str(said)
    expected = Outcome.CORRECT if truth == said else Outcome.INCORRECT
    assert outcome(AnswerKind.INTEGER, str(truth), marker.format(written)) is expected


@given(st.integers(-99_999, 99_999), st.integers(-99_999, 99_999), st.sampled_from(MARKERS))
def test_another_decimal_is_wrong(truth, said, marker):
    """Hundredths, both written with two decimals."""
    written = [f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}" for value in (truth, said)]
    expected = Outcome.CORRECT if Fraction(truth) == said else Outcome.INCORRECT
    assert outcome(AnswerKind.DECIMAL, written[0], marker.format(written[1])) is expected


@given(st.integers(0, 999), st.sampled_from(MARKERS), st.lists(st.sampled_from(EXPLANATIONS), max_size=3))
def test_no_other_number_of_the_text_is_the_answer(truth, marker, explanation):
    text = "\n".join([*explanation, marker.format(truth + 1)])
    assert outcome(AnswerKind.INTEGER, str(truth), text) is Outcome.INCORRECT


@given(st.text(max_size=300), st.sampled_from([kind for kind, _, _ in TRUTHS]))
def test_any_text_gets_a_verdict_within_its_span(text, kind):
    truth = next(truth for other, truth, _ in TRUTHS if other is kind)
    question = Question(
        id="q", text="Is it red?", answer=truth, kind=kind, choices=OPTIONS if kind is AnswerKind.CHOICE else ()
    )
    verdict = verify(
        question, Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=FinishReason.STOP)
    )
    if verdict.span is not None:
        start, end = verdict.span
        assert 0 <= start <= end <= len(text)
        assert verdict.extracted == text[start:end]
