"""Agreement with labels: the arithmetic of the report, and the thresholds on real responses."""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from mixpo.errors import DataError
from mixpo.verdicts.agreement import judge_check

ROW = {"question": "?", "choices": None, "question_type": "free_form", "answer_type": "integer", "answer": "5"}


def write(path, rows):
    with gzip.open(path, "wt") if path.suffix == ".gz" else path.open("w") as file:
        file.writelines(json.dumps({**ROW, **row}) + "\n" for row in rows)
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_report(tmp_path, name):
    """Said and expected: 1, said only: 1, expected only: 1, neither: 1. Agreement 2/4, as by chance: kappa 0."""
    labelled = [("5", True), ("5", False), ("6", True), ("Final answer: 7", False)]
    report = judge_check(write(tmp_path / name, [{"response": text, "correct": label} for text, label in labelled]))
    assert "4 rows, agreement 50.00%, precision 50.00%, recall 50.00%, kappa 0.000, false correct 1, missed 1" in report
    assert "integer" in report
    assert "direct       3 rows" in report
    assert "marker       1 rows" in report
    assert "disagreements: 2" in report


def test_huge_rows_are_cut(tmp_path):
    report = judge_check(write(tmp_path / "rows.jsonl", [{"response": "word " * 200_000, "correct": True}]))
    assert len(report) < 3_000


@pytest.mark.parametrize("row", [{"response": "5"}, {"response": 5, "correct": True}])
def test_bad_row(tmp_path, row):
    with pytest.raises(DataError, match=r"rows\.jsonl:1: a row needs"):
        judge_check(write(tmp_path / "rows.jsonl", [row]))


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("mathvista_responses", {"agreement": 99, "precision": 98, "recall": 98}),
        ("mathvista_hand_checked", {"agreement": 95}),
        ("adversarial", {"agreement": 90}),
    ],
)
def test_real_responses(name, least):
    folder = os.environ.get("MIXPO_DATA")
    if not folder:
        pytest.skip("MIXPO_DATA is not set: no labelled responses here")
    report = judge_check(Path(folder) / "verdicts" / f"{name}.jsonl.gz")
    for measure, percent in least.items():
        found = re.search(rf"{measure} ([\d.]+)%", report)
        assert found
        assert float(found[1]) >= percent
    if name == "adversarial":
        firm = next(line for line in report.splitlines() if line.startswith("not hard, not soft"))
        assert "false correct 0" in firm
        assert "over their time limit: none" in report
