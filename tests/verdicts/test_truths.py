"""Ground truths that no answer can match are noticed when questions are collected, with the reason on the screen."""

import json

import pytest

from mixpo.files import RunFiles
from mixpo.questions import collect
from mixpo.records import AnswerKind, DropReason, Outcome, Question
from mixpo.verdicts.truths import unanswerable

CHOICES = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("answer", "kind", "choices"),
    [
        ("", None, ()),
        ("  ", AnswerKind.TEXT, ()),
        ("D", None, CHOICES),
        ("E", AnswerKind.CHOICE, CHOICES),
        ("7", AnswerKind.CHOICE, CHOICES),
        ("purple", AnswerKind.CHOICE, CHOICES),
        ("about", AnswerKind.INTEGER, ()),
        ("maybe", AnswerKind.YES_NO, ()),
        ("soon", AnswerKind.DATE, ()),
    ],
)
def test_nothing_can_match(answer, kind, choices):
    said = unanswerable(Question(id="q", text="?", answer=answer, kind=kind, choices=choices))
    assert said
    assert "empty" in said or answer in said


@pytest.mark.parametrize(
    ("answer", "kind", "choices"),
    [
        (None, None, ()),
        ("B", None, CHOICES),
        ("B. green", None, CHOICES),
        ("A, C", None, CHOICES),
        ("green", AnswerKind.CHOICE, CHOICES),
        ("12", AnswerKind.INTEGER, ()),
        ("-0.5", None, ()),
        ("a man on a horse", None, ()),
        ("4 July 1776", AnswerKind.DATE, ()),
        ("x^2+1", None, ()),
        ("anything at all", AnswerKind.FREE_FORM, ()),
    ],
)
def test_something_can(answer, kind, choices):
    assert unanswerable(Question(id="q", text="?", answer=answer, kind=kind, choices=choices)) is None


def test_collected_questions(tmp_path, capsys):
    rows = [
        {"text": "Which color?", "answer": "B", "choices": CHOICES},
        {"text": "Which color?", "answer": "D", "choices": CHOICES},
        {"text": "How many?", "answer": ""},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = RunFiles(tmp_path / "run")
    sources = {"mine": {"loader": "jsonl", "path": str(tmp_path / "rows.jsonl")}}
    collect.run(collect.Config(name="questions", sources=sources), files, doubt=unanswerable)
    assert [question.answer for question in files.questions("questions")] == ["B"]
    assert {dropped.reason for dropped in files.dropped("questions")} == {DropReason.BAD_ANSWER, DropReason.BAD_ROW}
    screen = " ".join(capsys.readouterr().err.split())
    assert "1 question: 1 with an answer" in screen
    assert "2 rows left out" in screen
    assert "none of the options ('D', judged as choice; there are 3 options)" in screen


@pytest.mark.parametrize(
    ("truth", "right", "wrong"),
    [
        ("B. green", ("B", "(B) green", "The answer is green."), ("C", "blue", "(A) red")),
        ("(B) green", ("B", "green"), ("A",)),
        ("A, C", ("A, C", "C and A", "The answers are (A) and (C)."), ("A", "C", "A, B", "A, B, C")),
        ("AC", ("A and C",), ("A",)),
    ],
)
def test_truths_with_letters_and_texts(judge_text, truth, right, wrong):
    for text in right:
        assert judge_text(text, truth, None, CHOICES).outcome is Outcome.CORRECT, text
    for text in wrong:
        assert judge_text(text, truth, None, CHOICES).outcome is not Outcome.CORRECT, text
