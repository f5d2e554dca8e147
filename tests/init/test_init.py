"""`mixpo init`: what a new user has becomes a recipe that runs."""

import io
import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.init.ask import Asker
from mixpo.init.guess import guess
from mixpo.init.look import Data, look
from mixpo.init.start import Given, init
from mixpo.pipeline import run_recipe
from mixpo.questions.scenes import source
from mixpo.recipe import load_recipe
from mixpo.resolve import resolve


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with eight pictures in a folder of their own; the last of eight rows names one that is not there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for number in range(7):
        Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def table(path, head, between=","):
    rows = [[f"{number}.png", f'"Is it, say{between} {number}?"', "yes"] for number in range(8)]
    path.write_text("\n".join(between.join(row) for row in [head, *rows]) + "\n")


def written(path="recipe.yaml"):
    recipe = load_recipe(path)
    resolve(recipe)
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("head", "between", "fields"),
    [
        (["image", "question", "answer"], ",", {}),
        (["Bild", "Frage", "Antwort"], ";", {"text": "Frage", "images": "Bild", "answer": "Antwort"}),
        (["file", "Question", "label"], "\t", {"text": "Question", "images": "file", "answer": "label"}),
    ],
)
def test_a_table_of_ones_own_with_pictures_beside(here, capsys, head, between, fields):
    table(here / "mine.csv", head, between)
    init(Given(model="base"))
    said = capsys.readouterr().out
    steps = written()["steps"]
    source = {"loader": "file", "path": "mine.csv", **({"fields": fields} if fields else {}), "image_root": "photos",
              "held_out": 0.2}  # fmt: skip
    assert steps["questions"]["sources"] == {"mine": {**source, "part": "train"}}
    assert steps["evaluate"]["benchmarks"] == {"held-out": {**source, "part": "held_out"}}
    assert list(steps) == ["questions", "sample", "verify", "pair", "train", "evaluate", "report"]
    assert "7 questions; answers: 7 yes_no" in said
    assert "left out: 1 bad_image; the first because 7.png: there is no such file under photos" in said
    assert "6 questions are trained on, 1 are held out" in said
    assert "mine/0.png (64 x 64)" in said
    assert said.endswith("  mixpo run recipe.yaml --dry-run\n  mixpo run recipe.yaml\n")


def test_a_saved_data_set_with_splits_and_marked_solutions(here, capsys):
    datasets = pytest.importorskip("datasets")
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    row = {"problem": "Which?", "images": [{"bytes": buffer.getvalue(), "path": None}], "options": ["red", "blue"]}
    solutions = ["<answer> B </answer>", "A", "It is \\boxed{B}."]
    kinds = {"problem": datasets.Value("string"), "images": datasets.List(datasets.Image()),
             "options": datasets.List(datasets.Value("string")), "solution": datasets.Value("string")}  # fmt: skip
    rows = datasets.Dataset.from_list([row | {"solution": each} for each in solutions], datasets.Features(kinds))
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk("hf")
    init(Given(folder=here / "hf", model="base", out=here / "hf.yaml"))
    said, steps = capsys.readouterr().out, written(here / "hf.yaml")["steps"]
    source = {"loader": "huggingface", "path": str(here / "hf"), "split": "train", "fields": {"answer": "solution"},
              "answer_in": "marked"}  # fmt: skip
    assert steps["questions"]["sources"] == {"hf": source}
    assert steps["evaluate"]["benchmarks"]["held-out"] == {**source, "split": "test"}
    assert "3 questions; answers: 3 choice" in said
    assert "['red', 'blue'] -> 'B'" in said
    assert "evaluated on the split test: 1 questions" in said


def test_a_file_of_pairs_is_imported(here, capsys):
    rows = [{"image": f"{n}.png", "question": "<image>\nWhich?", "chosen": "A", "rejected": "B", "answer_gt": "A"}
            for n in range(8)]  # fmt: skip
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    meta = {"mine": {"root": "photos", "annotation": "rows.jsonl", "repeat_time": 1, "length": 8}}
    (here / "meta.json").write_text(json.dumps(meta))
    init(Given(model="base"))
    steps = written()["steps"]
    assert list(steps) == ["import", "train", "report"]
    assert steps["import"] == {"format": "mmpr", "path": "meta.json"}
    assert "7 pairs of 7 prompts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, "init would ask: Which model is to be trained"),
        ({"model": "base", "out": Path("there.yaml")}, "there.yaml is there already, and is never overwritten"),
        ({"model": "base", "folder": Path("photos")}, "photos: no data is in it: give --data"),
        ({"model": "base", "data": Path("nothing.csv")}, "nothing.csv: nothing lies there"),
        ({"model": "photos"}, "photos: the folder holds no model"),
        ({"model": "base", "data": Path("odd.jsonl")}, "odd.jsonl: none of its pairs could be read"),
        ({"model": "base", "data": Path("empty.csv")}, "empty.csv: no row of it could be read"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(here, given, error):
    table(here / "mine.csv", ["image", "question", "answer"])
    (here / "there.yaml").write_text("mine\n")
    (here / "odd.jsonl").write_text('{"rejected": 3}\n')
    (here / "empty.csv").write_text("")
    with pytest.raises(UserError, match=error):
        init(Given(**{"data": Path("mine.csv"), **given} if "folder" not in given else given))
    assert not (here / "recipe.yaml").exists()
    assert (here / "there.yaml").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"text": "?", "answer": "1"}, {}),
        ({"Problem": "?", "Solution": "1"}, {"fields": {"text": "Problem", "answer": "Solution"}}),
        ({"problem": "?", "solution": "#### 1"}, {"fields": {"answer": "solution"}, "answer_in": "marked"}),
        ({"text": "?", "A": "x", "B": "y", "answer": "A"}, {}),
        ({"text": "?", "candidates": ["x", "y"], "gt": "A"}, {"fields": {"choices": "candidates", "answer": "gt"}}),
        ({"text": "?", "shot": "a/b.JPG", "answer": "1"}, {"fields": {"images": "shot"}}),
        ({"foo": "How many are there?", "bar": "3"}, {"fields": {"text": "foo", "answer": "bar"}}),
        ({"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "3"}]},
         {"fields": {"answer": "conversations"}}),
    ],
)  # fmt: skip
def test_columns_are_found_by_name_and_by_what_they_hold(tmp_path, row, found):
    data = Data(what="", path=tmp_path / "q.jsonl", values={}, first=[row])
    assert guess(data, Asker(yes=True)) == found


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"prompt": "a?", "chosen": "1", "rejected": "2"}, "trl"),
        ({"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "1"}],
          "rejected_response": "2"}, "ms-swift"),
        ({"instruction": "a?", "input": "", "chosen": "1", "rejected": "2"}, "llama-factory"),
    ],
)  # fmt: skip
def test_pairs_are_known_by_the_format_that_reads_them(tmp_path, row, form):
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n")
    found = look(tmp_path / "p.jsonl")
    assert found.pairs
    assert found.values == {"format": form, "path": str(tmp_path / "p.jsonl")}


@pytest.fixture
def scenes(here):
    """Drawn scenes in a table, of the kind that the small base model knows."""
    rows = []
    for number, entry in enumerate(source.load(source.Config(count=6, charts=0.0), "scenes", 0)):
        (drawn,) = entry.pictures.values()
        (here / "photos" / f"{number}.png").write_bytes(drawn())
        rows.append((f"{number}.png", entry.question.text, entry.question.answer))
    return rows


@pytest.mark.parametrize("known", [True, False])
def test_from_a_table_to_a_report(here, scenes, known):
    lines = [f"photos/{image};{text};{answer if known else 'seven dozen'}" for image, text, answer in scenes]
    (here / "mine.csv").write_text("\n".join(["image;question;answer", *lines]) + "\n")
    init(Given(model="base"))
    small = ["sample.n=8", "sample.max_new_tokens=96", "evaluate.max_new_tokens=16", "train.batch=4",
             "train.micro_batch=4", "pair.max_pairs=2", "evaluate.styles=[direct]"]  # fmt: skip
    recipe = load_recipe("recipe.yaml", small)
    if known:
        files = run_recipe(recipe)
        assert (files.checkpoints("train") / "model" / "config.json").is_file()
    else:
        with pytest.raises(UserError, match=r"0 of 40 judged responses are right, .* easier questions, or a stronger"):
            run_recipe(recipe)
        files = RunFiles(recipe.run)
    assert ("Preference" if known else "none_correct") in files.report.read_text(encoding="utf-8")


def test_what_is_unclear_is_asked_on_a_terminal(here, monkeypatch, capsys):
    table(here / "mine.csv", ["image", "foo", "bar"])
    given = iter(["", "9", "foo", "1"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda *_: next(given))
    init(Given())
    said = capsys.readouterr().out
    assert "Which model is to be trained? A number, or a folder or a name on the hub. [1]" in said
    assert written()["steps"]["questions"]["sources"]["mine"]["fields"] == {"text": "foo", "answer": "bar"}
    assert "a number from 1 to 2" in said


def test_ctrl_d_is_an_interrupt(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(KeyboardInterrupt):
        Asker(yes=False).choose("Which?", ["one", "two"], "one")
