"""`mixpo score`: responses of others, in the forms in which evaluation kits write them."""

import csv
import gzip
import json
import os
from pathlib import Path

import pytest

from mixpo.errors import DataError, RecipeError, UserError
from mixpo.evaluation.score_file import score, score_file
from mixpo.records import Outcome

QUERY = "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at the end.\nQuestion: How many?"  # noqa: E501
ROW = {"question": "How many?", "answer": "4", "question_type": "free_form", "answer_type": "integer", "query": QUERY}
CHOICE = {
    "question": "Which?", "answer": "left", "question_type": "multi_choice", "answer_type": "text",
    "choices": ["left", "right"],
}  # fmt: skip
DATA = os.environ.get("MIXPO_DATA")


def accuracies(found) -> dict[str, float]:
    return {s.model: s.value for s in found[0] if (s.metric, s.category) == ("accuracy", "all")}


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The benchmark's own copy: questions 10, 11 and 12."""
    folder = tmp_path / "MathVista"
    folder.mkdir()
    rows = [{"pid": "10", **ROW}, {"pid": "11", **CHOICE}, {"pid": "12", **ROW, "answer": "7"}]
    write_lines(folder / "testmini.jsonl", rows)
    return folder


@pytest.mark.skipif(not DATA, reason="MIXPO_DATA is not set")
def test_each_run_s_accuracy_is_reproduced():
    """17 public runs: the accuracy that the trusted labels give, within half a point."""
    path = Path(DATA or "") / "verdicts" / "mathvista_responses.jsonl.gz"
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    labels: dict[str, list[bool]] = {}
    for row in rows:
        labels.setdefault(row["source"], []).append(row["correct"])
    found = accuracies(score(path, "mathvista"))
    assert found.keys() == labels.keys()
    assert len(found) == 17
    off = {model: 100 * abs(found[model] - sum(right) / len(right)) for model, right in labels.items()}
    assert max(off.values()) <= 0.5, off


def test_vlmevalkit_s_spreadsheet(tmp_path):
    """Its xlsx repeats the table's columns, lists as text, and numbers come back as floats."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "answer", "question_type", "answer_type", "choices", "prediction"])
    book.active.append([10.0, QUERY, 4, "free_form", "integer", "[]", "There are 4."])
    book.active.append([11.0, "Which?", "left", "multi_choice", "text", "['left', 'right']", "(B) right"])
    book.save(tmp_path / "InternVL2-8B_MathVista_MINI.xlsx")
    found = score(tmp_path / "InternVL2-8B_MathVista_MINI.xlsx", "mathvista")
    assert accuracies(found) == {"InternVL2-8B_MathVista_MINI": 0.5}
    assert [verdict.outcome for verdict in found[2]] == [Outcome.CORRECT, Outcome.INCORRECT]


def test_vlmevalkit_s_table_and_json(tmp_path):
    rows = [{"index": "0", "question": "What flies?", "A": "hawk", "B": "cow", "answer": "A", "prediction": "A"}]
    with (tmp_path / "m_AI2D_TEST.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    assert accuracies(score(tmp_path / "m_AI2D_TEST.tsv", "ai2d")) == {"m_AI2D_TEST": 1.0}
    (tmp_path / "m.json").write_text(json.dumps(rows))
    assert accuracies(score(tmp_path / "m.json", "ai2d", model="mine")) == {"mine": 1.0}


def test_lmms_eval_s_samples_with_and_without_their_documents(tmp_path, data):
    """`doc` is logged by some versions; else `doc_id` is the row's place in the split."""
    sample = {"doc_id": 2, "target": "7", "resps": [["It is 7."]], "filtered_resps": ["It is 7."], "doc_hash": "x"}
    other = {"doc_id": 0, "doc": {"pid": "10", **ROW}, "target": "4", "resps": [["5"]], "filtered_resps": ["5"]}
    path = write_lines(tmp_path / "20260101_samples_mathvista_testmini.jsonl", [sample, other])
    found = score(path, "mathvista", data=data, model="mine")
    assert accuracies(found) == {"mine": 1 / 3}
    unanswered = [s.value for s in found[0] if s.metric == "unanswered"]
    assert unanswered == [1 / 3]
    path = write_lines(tmp_path / "own.jsonl", [other])
    assert accuracies(score(path, "mathvista")) == {"own": 0.0}


def test_mathvista_s_own_output(tmp_path, data):
    """A mapping pid -> row with `response`; the questions come from the copy as well as from the rows."""
    path = tmp_path / "output_bard.json"
    path.write_text(json.dumps({"11": {"pid": "11", "response": "left"}, "10": {"pid": "10", **ROW, "response": "4"}}))
    assert accuracies(score(path, "mathvista", data=data)) == {"output_bard": 2 / 3}


def test_several_models_are_compared_and_verdicts_written(tmp_path, data, capsys):
    rows = [
        {"source": model, "pid": pid, "response": text}
        for model, texts in {"a": ("4", "right", "7"), "b": ("4", "left", "7")}.items()
        for pid, text in zip(("10", "11", "12"), texts)
    ]
    path = write_lines(tmp_path / "both.jsonl", rows)
    _, compared, _ = score(path, "mathvista", data=data)
    (gain,) = [c for c in compared if c.category == "all" and c.metric == "accuracy"]
    assert (gain.before_model, gain.after_model, gain.fixed, gain.broken) == ("a", "b", 1, 0)
    score_file(path, "mathvista", data=data, out=tmp_path / "v.jsonl")
    verdicts = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [verdict["id"] for verdict in verdicts][:2] == ["a/mathvista-10/0", "a/mathvista-11/0"]
    assert "100.0" in capsys.readouterr().out


def test_only_verdicts_are_written_over(tmp_path, data):
    path = write_lines(tmp_path / "said.jsonl", [{"pid": "10", "response": "4"}])
    before, own = path.read_bytes(), tmp_path / "mine.txt"
    own.write_text("my notes")
    (tmp_path / "link.jsonl").symlink_to(path)
    for out, why in ((own, "not a file of verdicts"), (path, "which is read"), (tmp_path / "link.jsonl", "is read")):
        with pytest.raises(UserError, match=why):
            score_file(path, "mathvista", data=data, out=out)
    assert (own.read_text(), path.read_bytes()) == ("my notes", before)
    for _ in range(2):  # what an earlier call wrote is written over
        score_file(path, "mathvista", data=data, out=tmp_path / "v.jsonl")


def test_half_a_surrogate_pair(tmp_path, data, capsys):
    """In a response it is replaced, and counted; a model's name, with which verdicts' ids begin, is left alone."""
    path = write_lines(tmp_path / "half.jsonl", [{"pid": "10", "response": "4\ud800"}])
    score_file(path, "mathvista", data=data, out=tmp_path / "v.jsonl")
    assert "half.jsonl: 1 response held half a character (no valid text), read as `?`" in capsys.readouterr().err
    path = write_lines(tmp_path / "half.jsonl", [{"pid": "10", "response": "4", "model": "m\ud800"}])
    with pytest.raises(DataError, match=r"half\.jsonl:1: the model's name: a text is not valid Unicode"):
        score_file(path, "mathvista", data=data, out=tmp_path / "w.jsonl")
    rows = [{"pid": pid, "question": f"{asked}?", "answer": "4", "question_type": "free_form", "answer_type": "integer"}
            for pid, asked in (("1", "How many"), ("2", "caf\ud800"))]  # fmt: skip
    copy = write_lines(tmp_path / "copy.jsonl", rows)
    said = write_lines(tmp_path / "said.jsonl", [{"pid": "1", "response": "4"}])
    assert accuracies(score(said, "mathvista", data=copy)) == {"said": 1.0}, "the other question is none"


def test_an_empty_prediction_is_an_unanswered_question(tmp_path):
    """VLMEvalKit's xlsx has an empty cell where a model gave nothing."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "A", "B", "answer", "category", "prediction"])
    for index, prediction in enumerate([None, "A", "   ", "B"]):
        book.active.append([index, "What flies?", "hawk", "cow", "A", "birds", prediction])
    book.save(tmp_path / "m_AI2D.xlsx")
    found = score(tmp_path / "m_AI2D.xlsx", "ai2d")
    assert accuracies(found) == {"m_AI2D": 0.25}
    assert [s.value for s in found[0] if s.metric == "unanswered"] == [0.5]
    assert len(found[2]) == 2


def test_circular_evaluation_of_mmbench(tmp_path):
    """VLMEvalKit's rows of one question in two rotations: both must be right."""
    rows = [
        {"index": index, "question": "?", "A": a, "B": b, "answer": answer, "category": "x", "prediction": prediction}
        for index, a, b, answer, prediction in (
            (3, "x", "y", "A", "A"), (1_000_003, "y", "x", "B", "B"), (4, "x", "y", "A", "A"),
            (1_000_004, "y", "x", "B", "A"),
        )
    ]  # fmt: skip
    found = score(write_lines(tmp_path / "m.jsonl", rows), "mmbench")
    assert accuracies(found) == {"m": 0.75}
    assert [s.value for s in found[0] if s.metric == "consistency"] == [0.5]


def test_questions_of_one_s_own(tmp_path):
    """`--benchmark file`: with the questions beside, pictures or not, or in the rows themselves."""
    asked = [
        {"question_id": n, "image": "gone.png", "problem": "Which?", "options": ["cat", "dog"], "answer": n % 2}
        for n in range(4)
    ]
    data = write_lines(tmp_path / "q.jsonl", asked)
    given = [{"question_id": n, "response": text} for n, text in enumerate(["A", "B", "B", None])]
    found = score(write_lines(tmp_path / "r.jsonl", given), "file", data=data)
    assert accuracies(found) == {"r": 0.5}
    assert [s.value for s in found[0] if s.metric == "unanswered"] == [0.25]
    whole = [{**row, **response} for row, response in zip(asked, given)]
    assert accuracies(score(write_lines(tmp_path / "whole.jsonl", whole), "file")) == {"whole": 0.5}


def test_an_id_of_several_files_is_asked_about(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("a", "b"):
        write_lines(folder / f"{name}.jsonl", [{"pid": "10", **ROW}, {"pid": f"{name}1", **ROW}])
    assert accuracies(score(write_lines(tmp_path / "r.jsonl", [{"pid": "b1", "response": "4"}]), "mathvista",
                            data=folder)) == {"r": 0.25}  # fmt: skip
    with pytest.raises(DataError, match=r"several files of .*copy have a question 10; give one file as --data"):
        score(write_lines(tmp_path / "r.jsonl", [{"pid": "10", "response": "4"}]), "mathvista", data=folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"pid": "10", "answer": "4"}, "holds a response"),
        ({"prediction": "4"}, "says which question"),
        ({"pid": "99", "response": "4"}, "has no question"),
        ({"doc_id": 7, "resps": [["4"]]}, "has no question"),
        ({"doc_id": 7, "resps": []}, "holds a response"),
    ],
)
def test_a_row_that_fits_nothing_is_named(row, message, tmp_path, data):
    path = write_lines(tmp_path / "bad.jsonl", [row])
    with pytest.raises(DataError, match=rf"bad.jsonl:1: .*{message}"):
        score(path, "mathvista", data=data)


def test_other_mistakes_get_a_sentence(tmp_path, data):
    path = write_lines(tmp_path / "r.jsonl", [{"pid": "10", "response": "4"}] * 2)
    with pytest.raises(DataError, match="answered before"):
        score(path, "mathvista", data=data)
    with pytest.raises(DataError, match="give --data"):
        score(path, "mathvista")
    with pytest.raises(RecipeError, match="none of ai2d"):
        score(path, "mathvistaa")
    with pytest.raises(DataError, match=r"\.jsonl, \.json, \.csv, \.tsv"):
        score(tmp_path / "x.pkl", "mathvista")
    (tmp_path / "x.xlsx").write_bytes(b"no zip")
    pytest.importorskip("openpyxl")
    with pytest.raises(DataError, match="no Excel file"):
        score(tmp_path / "x.xlsx", "mathvista")
