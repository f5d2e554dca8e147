"""Agreement with labels: the arithmetic of the report, and the thresholds on real responses."""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from mixpo.errors import DataError
from mixpo.verdicts.agreement import judge_check
from mixpo.verdicts.mathematics import symbolic
from mixpo.verdicts.verify import Config

ROW = {"question": "?", "choices": None, "question_type": "free_form", "answer_type": "integer", "answer": "5"}


def write(path, rows):
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.writelines(json.dumps({**ROW, **row}) + "\n" for row in rows)
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_report(tmp_path, name):
    """Said and expected: 1, said only: 1, expected only: 1, neither: 1. Agreement 2/4, as by chance: kappa 0."""
    labelled = [("5", True), ("5", False), ("6", True), ("Final answer: 7", False)]
    rows = write(tmp_path / name, [{"response": text, "correct": label} for text, label in labelled])
    numbers, report = judge_check(rows)
    assert "4 rows, agreement 50.00%, precision 50.00%, recall 50.00%, kappa 0.000, false correct 1, missed 1" in report
    assert "integer" in report
    assert "direct       3 rows" in report
    assert "marker       1 rows" in report
    assert "disagreements: 2" in report
    assert numbers["all"] == {
        "rows": 4, "agreement": 0.5, "precision": 0.5, "recall": 0.5, "kappa": 0.0, "false_correct": 1, "missed": 1
    }  # fmt: skip
    assert [row["label"] for row in numbers["disagreements"]] == [False, True]


@pytest.mark.parametrize("precision", ["1e999", "two", 1.5, True])
def test_a_precision_that_is_no_whole_number(tmp_path, precision):
    bad = write(tmp_path / "bad.jsonl", [{"response": "6", "correct": True, "precision": precision}])
    with pytest.raises(DataError, match=r"bad\.jsonl:1: .* is no whole number"):
        judge_check(bad)


def test_half_a_surrogate_pair(tmp_path):
    """In a response it is replaced, and counted; anywhere else the row has to be mended. What comes out can be
    written."""
    rows = write(tmp_path / "rows.jsonl", [{"response": "6\ud800", "correct": True}])
    numbers, report = judge_check(rows)
    json.dumps([numbers, report], ensure_ascii=False).encode()
    assert "1 response held half a character (no valid text), read as `?`" in report
    for name in ("id", "answer", "question"):
        bad = write(tmp_path / "bad.jsonl", [{"response": "6", "correct": True, name: "\ud800"}])
        with pytest.raises(DataError, match=r"bad\.jsonl:1: a text is not valid Unicode .*; mend the row"):
            judge_check(bad)


def test_huge_rows_are_cut(tmp_path):
    _, report = judge_check(write(tmp_path / "rows.jsonl", [{"response": "word " * 200_000, "correct": True}]))
    assert len(report) < 3_000


@pytest.mark.parametrize("row", [{"response": "5"}, {"response": 5, "correct": True}])
def test_bad_row(tmp_path, row):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: a row needs"):
        judge_check(write(tmp_path / "rows.jsonl", [row]))


@pytest.mark.parametrize(("label", "right"), [(1, True), ("true", True), ("yes", True), ("0", False), ("False", False)])
def test_labels_as_people_write_them(tmp_path, label, right):
    _, report = judge_check(write(tmp_path / "rows.jsonl", [{"response": "5" if right else "6", "label": label}]))
    assert "agreement 100.00%" in report


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mathvista_responses", {"agreement": 99.8}),
        ("mathvista_hand_checked", {"agreement": 98.5}),
        ("adversarial", {"agreement": 100}),
        ("cases", {"agreement": 97}),
        ("equivalence", {"agreement": 98}),
    ],
)
def test_real_responses(name, least):
    """The thresholds hold for rows that are not marked hard or soft."""
    _, report = judge_check(labelled(name))
    lines = report.splitlines()
    firm = next((line for line in lines if line.startswith("not hard, not soft")), lines[0])
    for measure, percent in least.items():
        found = re.search(rf"{measure} ([\d.]+)%", firm)
        assert found
        assert float(found[1]) >= percent
    false_correct = re.search(r"false correct (\d+)", firm)
    assert false_correct
    assert int(false_correct[1]) <= (2 if name == "cases" else 0)


def test_hostile_rows_keep_to_their_time_limits():
    """Seconds on the wall: a busy machine may hold up one reading of them, hardly three."""
    symbolic.set_time_limit(Config().time_limit)
    path = labelled("adversarial")
    assert any("over their time limit: none" in judge_check(path)[1] for _ in range(3))


def labelled(name: str) -> Path:
    folder = os.environ.get("MIXPO_DATA")
    if not folder:
        pytest.skip("MIXPO_DATA is not set: no labelled responses here")
    return Path(folder) / "verdicts" / f"{name}.jsonl.gz"
