"""The judge from response to verdict."""

import pytest

from mixpo.files import RunFiles
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response
from mixpo.text_files import write_text
from mixpo.verdicts.verify import Config, run, verify

LENGTHS = ("1 cm", "2 cm", "4 cm")


def verdict(text, answer, kind=None, choices=(), finish=FinishReason.STOP, **more):
    question = Question(id="q", text="?", answer=answer, kind=kind, choices=choices, **more)
    return verify(question, Response(id="q/0", question_id="q", sample=0, text=text, finish_reason=finish))


@pytest.mark.parametrize(
    ("text", "answer", "kind", "choices", "outcome"),
    [
        ("3", "3", AnswerKind.INTEGER, (), Outcome.CORRECT),
        ("blue circle", "blue circle", AnswerKind.TEXT, (), Outcome.CORRECT),
        ("Final answer: nothing", "nothing", AnswerKind.TEXT, (), Outcome.CORRECT),
        ("Final answer: red circle", "blue circle", AnswerKind.TEXT, (), Outcome.INCORRECT),
        ("<think>It is 4.</think>Final answer: -3", "-3", AnswerKind.INTEGER, (), Outcome.CORRECT),
        ("<think>It is 4.</think>Final answer: 3", "-3", AnswerKind.INTEGER, (), Outcome.INCORRECT),
        ("左边有 2 个，右边有 1 个。最终答案：3", "3", AnswerKind.INTEGER, (), Outcome.CORRECT),
        (r"So \boxed{3}.", "3", AnswerKind.INTEGER, (), Outcome.CORRECT),
        ("(B)", "B", AnswerKind.CHOICE, LENGTHS, Outcome.CORRECT),
        ("It is 2 cm.", "B", AnswerKind.CHOICE, LENGTHS, Outcome.CORRECT),
        ("The answer is not B.", "B", AnswerKind.CHOICE, LENGTHS, Outcome.UNPARSED),
        ("The statement is false.", "false", AnswerKind.YES_NO, (), Outcome.CORRECT),
        ("Yes", "true", AnswerKind.YES_NO, (), Outcome.CORRECT),
        ("", "3", AnswerKind.INTEGER, (), Outcome.UNPARSED),
        ("A dog plays.", "A dog plays.", AnswerKind.FREE_FORM, (), Outcome.UNDECIDED),
    ],
)
def test_outcomes(text, answer, kind, choices, outcome):
    assert verdict(text, answer, kind, choices).outcome is outcome


def test_span_holds_the_extracted_text():
    text = "<think>4</think>  **Final answer:** 3"
    found = verdict(text, "3", AnswerKind.INTEGER)
    assert (found.extracted, found.rule) == ("3", "marker")
    assert text[slice(*found.span)] == "3"


def test_cut_before_the_answer():
    cut = verdict("There are 3 red ones and", "3", AnswerKind.INTEGER, finish=FinishReason.LENGTH)
    assert cut.outcome is Outcome.TRUNCATED


def test_the_step_ends_with_what_one_wants_to_know(tmp_path, capsys):
    """Outcomes with shares, by source, and what they mean for pairs; a rerun says the same."""
    files = RunFiles(tmp_path)
    write_text(files.image_roots_file("questions"), '{"sums": "images/sums", "trees": "images/trees"}')
    truths = {"sums-1": "3", "sums-2": "3", "trees-1": "3", "trees-2": "3", "trees-3": None}
    files.questions("questions").append(Question(id=name, text="?", answer=truth) for name, truth in truths.items())
    said_to = {
        "sums-1": ("3", "4", "a tree", r"\boxed{9^{9^{9^{9}}}}", "Let me count"),
        "sums-2": ("3", "3"), "trees-1": ("4",), "trees-2": ("4", "3"), "trees-3": ("3",), "gone-1": ("3",),
    }  # fmt: skip
    files.responses("sample").append(
        Response(
            id=f"{name}/{number}", question_id=name, sample=number, text=text,
            finish_reason=FinishReason.LENGTH if text.startswith("Let") else FinishReason.STOP,
        )
        for name, texts in said_to.items() for number, text in enumerate(texts)
    )  # fmt: skip
    shares = "4 correct (40.0 %), 3 incorrect (30.0 %), 1 unparsed (10.0 %), 1 truncated (10.0 %), 1 undecided (10.0 %)"
    for _ in range(2):
        run(Config(workers=1), files)
        said = " ".join(capsys.readouterr().err.split())
        for sentence in (
            f"verify: 10 responses to 4 questions: {shares}; in {tmp_path}/verdicts/verify",
            "verify: trees: 1 correct (33.3 %), 2 incorrect (66.7 %)",
            "verify: 1 response to questions without a ground truth, not judged",
            "verify: 1 response left out: their questions are not there",
            "verify: 2 questions with right and wrong responses can give pairs; 1 with right ones only, 1 with none",
            "verify: no answer was found in sums-1/2, which ends: a tree",
        ):
            assert sentence in said


def test_step_judges_only_what_is_missing(tmp_path):
    files = RunFiles(tmp_path)
    files.questions("questions").append([Question(id="q", text="?", answer="3", kind=AnswerKind.INTEGER)])
    for sample, text in enumerate(("3", "4")):
        files.responses("sample").append(
            [Response(id=f"q/{sample}", question_id="q", sample=sample, text=text, finish_reason=FinishReason.STOP)]
        )
        run(Config(), files)
    assert [verdict.outcome for verdict in files.verdicts("verify")] == [Outcome.CORRECT, Outcome.INCORRECT]


@pytest.mark.parametrize("gap", range(0, 420, 7))
def test_a_mark_is_found_however_much_stands_behind_it(gap):
    """The words that begin marks are looked for from the end back, 50 characters first, then twice as many."""
    for mark in ("Final answer: 7", "\\boxed{7}", "I go with 7", "答案是7。"):
        found = verdict(f"It may be 5. {mark}\n{'so ' * (gap // 3)}{'.' * (gap % 3)}", "7", AnswerKind.INTEGER)
        assert (found.outcome, found.extracted, found.rule) == (
            Outcome.CORRECT,
            "7",
            {"F": "marker", "\\": "box", "I": "phrase", "答": "phrase"}[mark[0]],
        ), mark


def test_case_of_number_signs_does_not_matter():
    assert verdict("FINAL ANSWER: MINUS 7", "-7", AnswerKind.INTEGER).outcome is Outcome.CORRECT
    assert verdict("FINAL ANSWER: MINUS 7", "7", AnswerKind.INTEGER).outcome is Outcome.INCORRECT


def test_a_letter_that_grows_in_lower_case_shifts_nothing():
    """İ in lower case is two characters."""
    found = verdict("İİİİ Final answer: **7 cm**", "7", AnswerKind.INTEGER)
    assert (found.outcome, found.extracted, found.rule) == (Outcome.CORRECT, "7", "marker")
