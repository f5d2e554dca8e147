import json
import os
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mixpo.config import build
from mixpo.errors import DataError, RecipeError
from mixpo.files import RunFiles
from mixpo.images import ImageRoots
from mixpo.pipeline import resolve
from mixpo.questions import collect
from mixpo.recipe import load_recipe
from mixpo.records import Dropped, DropReason


def run(root, sources, name="questions"):
    files = RunFiles(root)
    collect.run(collect.Config(name=name, sources=sources), files)
    return files


def contents(root):
    """Every file of the run folder, as bytes."""
    return {path.relative_to(root): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture
def sources(tmp_path, png, write_lines):
    """40 questions with their pictures inside, among them a bad one, and 3 whose pictures stay where they are."""
    rows = [{"text": f"q{number}", "image": png((number, 0, 0))} for number in range(40)]
    rows[7]["image"] = b""
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.png").write_bytes(png("blue"))
    write_lines(tmp_path / "own" / "rows.jsonl", [{"text": f"own {number}", "image": "a.png"} for number in range(3)])
    return {
        "inside": {"loader": "parquet", "path": str(tmp_path / "rows.parquet")},
        "own": {"loader": "jsonl", "path": str(tmp_path / "own" / "rows.jsonl")},
    }


def test_records_roots_and_pictures(tmp_path, sources, png):
    files = run(tmp_path / "run", sources)
    questions = list(files.questions("questions"))
    assert [question.text for question in questions] == [f"q{n}" for n in range(40) if n != 7] + [
        "own 0",
        "own 1",
        "own 2",
    ]
    assert json.loads(files.image_roots_file("questions").read_text()) == {
        "inside": "images/inside", "own": str(tmp_path / "own"),
    }  # fmt: skip
    roots = ImageRoots.load(files.image_roots_file("questions"))
    assert roots.open(questions[3].images[0]).getpixel((0, 0)) == (3, 0, 0)
    assert roots.open(questions[-1].images[0]).getpixel((0, 0)) == (0, 0, 255)
    assert len(list(files.pictures("questions").rglob("*.png"))) == 39
    (dropped,) = files.dropped("questions")
    assert (dropped.id, dropped.step, dropped.reason) == ("inside/rows.parquet:8", "questions", DropReason.BAD_IMAGE)


def test_a_rerun_changes_nothing_and_new_rows_are_added(tmp_path, sources, write_lines):
    files = run(tmp_path / "run", sources)
    before = contents(tmp_path / "run")
    run(tmp_path / "run", sources)
    assert contents(tmp_path / "run") == before
    write_lines(tmp_path / "own" / "rows.jsonl", [{"text": f"own {number}"} for number in range(5)])
    run(tmp_path / "run", sources)
    assert [question.text for question in files.questions("questions")][-2:] == ["own 3", "own 4"]
    assert len(files.questions("questions").ids()) == 44


def test_a_picture_that_is_back(tmp_path, sources, capsys):
    """Its question is there, and nothing says any more that it was left out; what is torn stays left out."""
    picture = tmp_path / "own" / "a.png"
    content = picture.read_bytes()
    picture.unlink()
    sources["own"]["limit"] = 2
    sources["inside"]["limit"] = 10
    with pytest.raises(DataError, match="source 'own' gives no question"):
        run(tmp_path / "run", sources)
    (tmp_path / "own" / "rows.jsonl").open("a").write(json.dumps({"text": "no picture"}) + "\n")
    sources["own"]["limit"] = 4
    files = run(tmp_path / "run", sources)
    assert [record.id for record in files.dropped("questions")] == [
        "inside/rows.parquet:8", *(f"own/rows.jsonl:{line}" for line in (1, 2, 3))
    ]  # fmt: skip
    picture.write_bytes(content)
    capsys.readouterr()
    run(tmp_path / "run", sources)
    assert "questions: 3 rows left out before: the pictures are there now" in capsys.readouterr().err
    assert [record.id for record in files.dropped("questions")] == ["inside/rows.parquet:8"]
    assert [question.text for question in files.questions("questions")][-4:] == [
        "no picture",
        "own 0",
        "own 1",
        "own 2",
    ]


def test_cut_anywhere_and_run_again_gives_the_same_records(tmp_path, sources):
    files = run(tmp_path / "run", sources)
    whole = contents(tmp_path / "run")
    (shard,) = files.questions("questions").paths()
    size = shard.stat().st_size
    for cut in (0, 1, size // 3, size // 2, size - 2, size - 1):
        os.truncate(shard, cut)
        for picture in list(files.pictures("questions").rglob("*.png"))[cut % 7 :: 5]:
            picture.unlink()
        files.questions("questions")
        # A record is written after its pictures: what is there already needs none of the missing ones.
        kept = {image for question in files.questions("questions") for image in question.images}
        run(tmp_path / "run", sources)
        after = contents(tmp_path / "run")
        missing = {path.name for path in whole.keys() - after.keys()}
        assert missing <= {image.split("/")[-1] for image in kept}
        assert {path: content for path, content in whole.items() if path.suffix != ".png"} == {
            path: content for path, content in after.items() if path.suffix != ".png"
        }
        for path in whole.keys() - after.keys():
            (tmp_path / "run" / path).write_bytes(whole[path])


CHILD = """
import sys, json
from mixpo.files import RunFiles
from mixpo.questions import collect
collect.run(collect.Config(sources=json.loads(sys.argv[2])), RunFiles(sys.argv[1]))
"""


def test_sigkill_and_run_again_gives_the_same_records(tmp_path, png):
    rows = [{"text": f"q{number}", "image": png((number % 256, number // 256, 0))} for number in range(600)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    sources = {"inside": {"loader": "parquet", "path": str(tmp_path / "rows.parquet")}}
    whole = run(tmp_path / "whole", sources)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), json.dumps(sources)]
    files, killed = RunFiles(tmp_path / "run"), 0
    for enough in (1, 100, 300):
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while child.poll() is None and sum(1 for _ in files.pictures("questions").rglob("*.png")) < enough:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
    assert killed, "the runs were too fast to be killed"
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert list(files.questions("questions")) == list(whole.questions("questions"))
    roots = ImageRoots.load(files.image_roots_file("questions"))
    for question in files.questions("questions"):
        assert roots.open(question.images[0]).size == (4, 4)


def test_duplicate_ids_are_dropped_each_time(tmp_path, write_lines):
    rows = [
        {"id": "a", "text": "first"},
        {"id": "a", "text": "second"},
        {"id": "b", "text": "other"},
        {"id": "a", "text": "third"},
    ]
    write_lines(tmp_path / "rows.jsonl", rows)
    files = run(tmp_path / "run", {"mine": {"loader": "jsonl", "path": str(tmp_path / "rows.jsonl")}})
    assert [question.text for question in files.questions("questions")] == ["first", "other"]
    assert [(entry.id, entry.reason) for entry in files.dropped("questions")] == [
        ("mine-a#2", DropReason.DUPLICATE_ID), ("mine-a#3", DropReason.DUPLICATE_ID),
    ]  # fmt: skip


def test_a_text_that_utf8_cannot_hold_is_dropped_alone(tmp_path, write_lines):
    write_lines(
        tmp_path / "rows.jsonl", ['{"text": "\\ud800"}', '{"text": "\\ud83d\\ude00"}', '{"id": "\\udfff", "text": "x"}']
    )
    files = run(tmp_path / "run", {"mine": {"loader": "jsonl", "path": str(tmp_path / "rows.jsonl")}})
    assert [question.text for question in files.questions("questions")] == ["😀"]
    assert [entry.id for entry in files.dropped("questions")] == ["mine/rows.jsonl:1", "mine/rows.jsonl:3"]


def test_an_empty_source_is_one_sentence_and_loses_nothing(tmp_path, sources, write_lines):
    write_lines(tmp_path / "empty.jsonl", ["{", "{"])
    sources["empty"] = {"loader": "jsonl", "path": str(tmp_path / "empty.jsonl")}
    why = r"gives no question: 2 rows left out, the first because not valid JSON .*empty.jsonl:1"
    with pytest.raises(DataError, match=f"source 'empty' {why}"):
        run(tmp_path / "run", sources)
    files = RunFiles(tmp_path / "run")
    assert len(files.questions("questions").ids()) == 42
    assert {entry.reason for entry in files.dropped("questions")} == {DropReason.BAD_IMAGE, DropReason.TORN_LINE}
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="it is empty"):
        list(collect.collect(collect.Config(sources={"empty": sources["empty"]})))
    with pytest.raises(DataError, match="there are no sources"):
        run(tmp_path / "other", {})


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            {"mine": {"loader": "jsonlines"}},
            r"sources\.mine\.loader: 'jsonlines' is none of scenes, figures, file, jsonl, parquet",
        ),
        ({"mine": {"path": "x"}}, r"sources\.mine\.loader: None is none of"),
        ({"mine": {"loader": "jsonl", "pth": "x"}}, r"sources\.mine\.pth: unknown key; did you mean 'path'\?"),
        ({"mine": {"loader": "jsonl"}}, r"sources\.mine: 'path' is missing"),
        (
            {"mine": {"loader": "nlvr", "path": "x", "limit": "six"}},
            r"sources\.mine\.limit: must be a whole number, not 'six'",
        ),
        ({"a/b": {"loader": "jsonl", "path": "x"}}, r"sources\.a/b: a source's name is made of letters"),
    ],
)
def test_a_wrong_source_is_named(tmp_path, sources, message):
    with pytest.raises(RecipeError, match=message):
        collect.Config(sources=sources)
    with pytest.raises(RecipeError, match=rf"^steps\.questions\.{message}"):
        build(collect.Config, {"sources": sources}, "steps.questions")


def test_a_recipe_with_a_wrong_source_fails_before_anything_starts(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("steps:\n  questions:\n    sources:\n      mine:\n        loader: jsonl\n        pth: x\n")
    with pytest.raises(
        RecipeError, match=r"^\S+recipe\.yaml:6: steps\.questions\.sources\.mine\.pth: unknown key; did"
    ):
        resolve(load_recipe(recipe))


def test_real_statements_and_descriptions_side_by_side(tmp_path, nlvr_folder, monkeypatch):
    monkeypatch.setenv("NLVR_FOLDER", str(nlvr_folder))
    nlvr = {"loader": "nlvr", "path": "$NLVR_FOLDER", "split": "dev", "limit": 12}
    files = run(tmp_path / "run", {"nlvr": nlvr, "describe": {**nlvr, "describe": True}})
    questions = list(files.questions("questions"))
    assert [question.answer is None for question in questions] == [False] * 12 + [True] * 12
    roots = ImageRoots.load(files.image_roots_file("questions"))
    assert {roots.open(question.images[0]).size for question in questions} == {(400, 100)}
    assert not [entry for entry in files.dropped("questions") if isinstance(entry, Dropped)]
