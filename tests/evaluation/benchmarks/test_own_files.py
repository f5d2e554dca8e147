"""Files that are not the benchmark's, ids that several files repeat, and files of questions of one's own."""

import csv
import json

import pyarrow
import pytest
from pyarrow import parquet

from mixpo.errors import DataError, RecipeError
from mixpo.evaluation.benchmarks import source
from mixpo.evaluation.benchmarks.fields import inline_options
from mixpo.evaluation.evaluate_models import _benchmarks
from mixpo.files import RunFiles
from mixpo.records import Dropped, DropReason

from .conftest import PARQUET, PICTURE, POPE_ORIGINAL, json_lines, png

STRANGER = [
    {"id": n, "question": "Is it red?", "answer": "yes", "image": PICTURE, "text": "?", "choices": ["a", "b"]}
    for n in range(3)
]


def load(name, path, **values):
    return list(source.load(source.benchmark(name), source.Config(path=str(path), **values), name))


@pytest.mark.parametrize("name", [name for name in source.BENCHMARKS if source.benchmark(name).columns])
@pytest.mark.parametrize("kind", ["parquet", "tsv"])
def test_a_table_of_something_else_is_refused(tmp_path, name, kind):
    """Also where a user says `pope=.` and the folder holds some data set with questions and answers."""
    if kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(STRANGER), tmp_path / "train.parquet")
    else:
        with (tmp_path / "train.tsv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "question", "answer"], delimiter="\t", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(STRANGER)
    title = source.benchmark(name).title.partition(" (")[0]
    with pytest.raises(DataError, match=rf"train\.{kind}: not a file of {title} .*; give the one that is, or `loader"):
        load(name, tmp_path)


def test_so_is_one_with_its_columns_and_other_answers(tmp_path):
    rows = [{**PARQUET["pope"][0], "answer": "a red bus"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "test.parquet")
    with pytest.raises(DataError, match="'a red bus' is neither yes nor no"):
        load("pope", tmp_path)


def test_bad_rows_of_the_right_file_are_dropped_alone(tmp_path):
    rows = [{**PARQUET["ai2d"][0], "answer": answer} for answer in ("7", "1", "0")]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "test.parquet")
    dropped, *kept = load("ai2d", tmp_path)
    assert (dropped.reason, dropped.detail) == (DropReason.BAD_ROW, "'H' is the letter of none of 2 options")
    assert [item.question.answer for item in kept] == ["B", "A"]


def test_other_json_beside_the_publisher_s_does_not_matter(tmp_path):
    (tmp_path / "a_list.json").write_text(json.dumps([{"name": "x"}]))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "v1_0.png").write_bytes(png())
    row = {"imagename": "v1_0.png", "question": "?", "answer": "3", "capability": ["ocr"]}
    (tmp_path / "mm-vet.json").write_text(json.dumps({"v1_0": row}))
    assert [type(entry).__name__ for entry in load("mmvet", tmp_path)] == ["Dropped", "Item"]
    (tmp_path / "mm-vet.json").unlink()
    with pytest.raises(DataError, match="a_list.json: not a file of MM-Vet"):
        load("mmvet", tmp_path)
    (tmp_path / "a_list.json").write_text("[]")
    with pytest.raises(DataError, match="there are no rows of MM-Vet"):
        load("mmvet", tmp_path)


def test_ids_that_repeat_over_several_files(tmp_path):
    """POPE's own files number alike and differ in kind; those of another publisher need not say so."""
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / POPE_ORIGINAL["image"]).write_bytes(png())
    for name in ("part_a", "part_b"):
        rows = [{**POPE_ORIGINAL, "category": "random", "question_id": n} for n in (1, 2, 2 if name == "part_b" else 3)]
        json_lines(copy / f"{name}.json", rows)
    run = RunFiles(tmp_path / "run")
    for _ in range(2):
        source.collect_into("pope", {"loader": "pope", "path": str(copy)}, 0, run)
    assert [question.id for question in run.questions("pope")] == [
        "pope-random-1", "pope-random-2", "pope-random-3", "pope-part_b-random-1", "pope-part_b-random-2",
    ]  # fmt: skip
    assert [(entry.id, entry.reason) for entry in run.dropped("pope")] == [
        ("pope/part_b.json:3", DropReason.DUPLICATE_ID)
    ]
    assert len({entry.id for entry in run.questions("pope")}) == 5


def test_mmmu_s_spellings_are_all_accepted(published):
    found = load("mmmu", published("mmmu", "validation"))
    assert [(item.question.answer, item.question.accepted) for item in found] == [
        ("A", ()), ("12", ()), ("$6", ("6 dollars",)),
    ]  # fmt: skip


def test_mmbench_s_rotations_are_one_group_and_its_test_split_is_hidden(published, tmp_path):
    found = [item.question for item in load("mmbench", published("mmbench", "dev"))]
    assert [question.meta["group"] for question in found] == ["241", "241"]
    row = {"index": "5", "question": "?", "A": "x", "B": "y", "category": "c", "l2-category": "l", "split": "test"}
    with (tmp_path / "MMBench_TEST_EN.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row, delimiter="\t")
        writer.writeheader()
        writer.writerow(row)
    (hidden,) = load("mmbench", tmp_path / "MMBench_TEST_EN.tsv")
    assert (hidden.question.answer, hidden.question.choices) == (None, ("x", "y"))


def test_mmstar_s_table_with_options_in_columns(tmp_path):
    row = {
        "index": "7", "question": "Which?", "A": "x", "B": "y", "C": "z", "D": "w", "answer": "D",
        "category": "math", "l2_category": "geometry", "bench": "MathVista",
    }  # fmt: skip
    with (tmp_path / "MMStar.tsv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row, delimiter="\t")
        writer.writeheader()
        writer.writerow(row)
    (item,) = load("mmstar", tmp_path / "MMStar.tsv")
    assert (item.question.text, item.question.choices, item.question.answer) == ("Which?", ("x", "y", "z", "w"), "D")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Q?\nOptions: A: Yes, B: No", ("Q?", ["Yes", "No"])),
        ("Q?\nOptions: A: 1, 2, B: 3, D: 4, C: 5", ("Q?", ["1, 2", "3, D: 4", "5"])),
        ("Q?\nChoices:\n(A) 10\n(B) 32", ("Q?", ["10", "32"])),
        ("Options: none of them?", ("Options: none of them?", [])),
    ],
)
def test_options_in_one_line(text, expected):
    assert inline_options(text) == expected


def test_a_file_of_questions_is_a_benchmark(tmp_path):
    """`mixpo evaluate --benchmark mine=q.jsonl`; a name like a published one is taken for a slip."""
    path = tmp_path / "q.jsonl"
    json_lines(path, [{"question": "Which?", "options": {"A": "x", "B": "y"}, "answer": "B", "index": 4}])
    values = _benchmarks([f"mine={path}", f"file={path}", "pope=~/POPE", "scenes"], [])
    assert [values[name]["loader"] for name in values] == ["file", "file", "pope", "scenes"]
    source.check("mine", values["mine"], "benchmarks.mine")
    run = RunFiles(tmp_path / "run")
    source.collect_into("mine", values["mine"], 0, run)
    (question,) = run.questions("mine")
    assert (question.id, question.choices, question.answer) == ("mine-4", ("x", "y"), "B")
    for wrong in ("mathvistaa=~/x", "mine", "mine="):
        with pytest.raises(RecipeError, match="--benchmark: .* is none of ai2d"):
            _benchmarks([wrong], [])
    assert not [entry for entry in run.dropped("mine") if isinstance(entry, Dropped)]
