"""Rows as the formats' own programs write them: what becomes a pair, and what is left out for which reason."""

import json

import pytest
import yaml

from mixpo.errors import DataError
from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.pairs.formats.mmpr import data_sets
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason, Origin

ROW = {"image": "a.png", "question": "<image>\nHow many?", "chosen": "3", "rejected": "4", "answer_gt": 3}


@pytest.fixture
def mmpr(tmp_path, image, lines):
    """MMPR as published: the meta.json names its authors' folders; rows of every sort."""
    folder = tmp_path / "MMPR"
    (folder / "images" / "clevr").mkdir(parents=True)
    (folder / "images" / "clevr" / "a.png").write_bytes(image("red"))
    rows = [
        ROW,
        {**ROW, "question": "How many?", "chosen": "three"},
        {**ROW, "image": ["a.png", "a.png"], "question": "<image>\n<image>\nCompare."},
        {**ROW, "image": ["a.png", "a.png"], "question": "Image-1: <image>\nImage-2: <image>\nCompare."},
        {"video": "b.mp4", "question": "<video>\nWhat happens?", "chosen": "x", "rejected": "y"},
        {"question": "What is 1 + 1?", "chosen": "2", "rejected": "3"},
        {**ROW, "image": "../../secret.png"},
        {**ROW, "rejected": ""},
        {**ROW, "chosen": ["3"]},
    ]
    lines(folder / "annotations" / "clevr.jsonl", rows)
    with (folder / "annotations" / "clevr.jsonl").open("a") as file:
        file.write('{"torn": \n')
    meta = {
        "CLEVR math/en": {
            "root": "MMPR/images/clevr", "annotation": "/mnt/elsewhere/MMPR/annotations/clevr.jsonl",
            "data_augment": False, "repeat_time": 1, "length": 9,
        }
    }  # fmt: skip
    (folder / "meta.json").write_text(json.dumps(meta))
    return folder


def test_mmpr(mmpr, imported):
    pairs, dropped, files = imported(Format.MMPR, mmpr)
    assert [(pair.id, pair.prompt, pair.chosen, len(pair.images)) for pair in pairs] == [
        ("CLEVR_math_en-1", "How many?", "3", 1),
        ("CLEVR_math_en-2", "How many?", "three", 1),
        ("CLEVR_math_en-3", "Compare.", "3", 2),
        ("CLEVR_math_en-4", f"Image-1: {PICTURE}\nImage-2: {PICTURE}\nCompare.", "3", 2),
        ("CLEVR_math_en-6", "What is 1 + 1?", "2", 0),
    ]
    assert {pair.origin for pair in pairs} == {Origin.IMPORTED}
    # The same question of the same image, with and without the mark, is one question.
    assert pairs[0].question_id == pairs[1].question_id != pairs[2].question_id
    assert [(record.id.rpartition(":")[2], record.reason) for record in dropped] == [
        ("5", DropReason.UNSUPPORTED),
        ("7", DropReason.BAD_IMAGE),
        ("8", DropReason.EMPTY),
        ("9", DropReason.BAD_ROW),
        ("10", DropReason.BAD_ROW),
    ]
    assert "video" in dropped[0].detail
    roots = ImageRoots.load(files.image_roots_file("import"))
    assert roots.open(pairs[0].images[0]).getpixel((0, 0)) == (255, 0, 0)
    assert {question.answer for question in files.questions("import")} == {"3", None}


@pytest.mark.parametrize(
    ("repeat", "count", "left"), [(3, 15, 0), (2.9, 10, 0), (1.5, 5, 0), (0.5, None, 5), (0.34, None, 7), (0, 0, 10)]
)
def test_repeat_time(mmpr, imported, repeat, count, left):
    meta = json.loads((mmpr / "meta.json").read_text())
    meta["CLEVR math/en"]["repeat_time"] = repeat
    (mmpr / "meta.json").write_text(json.dumps(meta))
    if count == 0:
        with pytest.raises(DataError, match="gave no pair"):
            imported(Format.MMPR, mmpr)
        return
    pairs, dropped, _ = imported(Format.MMPR, mmpr)
    assert len({pair.id for pair in pairs}) == len(pairs)
    if count:
        assert len(pairs) == count
        assert len({(pair.prompt, pair.chosen) for pair in pairs}) == 5
    assert sum(record.count for record in dropped if record.reason is DropReason.OVER_CAP) == left


def test_rlaif_v_as_datasets_writes_it(tmp_path, imported, image):
    datasets = pytest.importorskip("datasets")
    columns = {
        "ds_name": ["RLAIF-V", "RLAIF-V"],
        "image": [{"bytes": image("red", "JPEG"), "path": "0.jpg"}, {"bytes": b"", "path": ""}],
        "question": ["Describe.", "?"],
        "chosen": ["A red square.", "a"],
        "rejected": ["A dog.", "b"],
        "idx": ["0", "1"],
    }
    datasets.Dataset.from_dict(columns).to_parquet(str(tmp_path / "data" / "x.parquet"))
    pairs, dropped, files = imported(Format.RLAIF_V, tmp_path / "data")
    assert [(pair.prompt, pair.chosen, pair.rejected) for pair in pairs] == [("Describe.", "A red square.", "A dog.")]
    assert pairs[0].images[0].endswith(".jpg")
    assert ImageRoots.load(files.image_roots_file("import")).open(pairs[0].images[0]).size == (28, 28)
    assert [record.detail for record in dropped] == ["the image is empty"]


@pytest.mark.parametrize("image", ["", 7, {"path": ""}, {"bytes": None, "path": None}])
def test_an_image_that_is_neither_path_nor_bytes_is_said_to_be_so(tmp_path, imported, lines, image):
    rows = [{"prompt": "?", "chosen": "c", "rejected": "r", "images": given} for given in ([image], [])]
    pairs, dropped, _ = imported(Format.TRL, lines(tmp_path / "d.jsonl", rows))
    assert len(pairs) == 1
    assert [record.reason for record in dropped] == [DropReason.BAD_ROW]
    assert "an image must be a path or bytes" in dropped[0].detail


def test_data_sets_of_a_meta_json_that_read_alike_get_names_of_their_own(tmp_path, lines):
    lines(tmp_path / "x.jsonl", [ROW])
    meta = {name: {"root": ".", "annotation": "x.jsonl"} for name in ("a b", "a-b", "a.b", "?")}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    names = [data.name for data in data_sets(tmp_path / "meta.json", None)]
    assert names == ["a_b", "a_b_2", "a_b_3", "data"]


def test_crafted_rows_write_and_read_nothing_outside(tmp_path, imported, image):
    """Rows that claim to be an export's own, with paths that lead out of the folder."""
    import pyarrow
    import pyarrow.parquet

    own = {"question_id": "q", "origin": "imported", "chosen_id": "", "rejected_id": "", "rejected_ended": True}
    paths = ["../out.png", "a/../../out.png", "/etc/out.png", "..", "good/in.png"]
    rows = [
        {
            "id": str(i),
            **own,
            "image": {"bytes": image("red"), "path": path},
            "question": "?",
            "chosen": "a",
            "rejected": "b",
        }
        for i, path in enumerate(paths)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    pairs, dropped, files = imported(Format.RLAIF_V, tmp_path / "x.parquet")
    assert [pair.images[0] for pair in pairs][-1] == "good/in.png"
    assert {record.reason for record in dropped} == {DropReason.BAD_IMAGE}
    assert len(pairs) + len(dropped) == 5
    assert {path.relative_to(files.root).parts[0] for path in tmp_path.rglob("*.png")} == {"questions"}


def test_a_recipe_trains_on_what_it_imports(mmpr, tmp_path):
    from mixpo.pipeline import run_recipe
    from mixpo.recipe import load_recipe

    recipe = {
        "run": str(tmp_path / "run"),
        "steps": {"import": {"format": "mmpr", "path": str(mmpr)}, "relabel": {}},
    }
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    files = run_recipe(load_recipe(tmp_path / "r.yaml"))
    before = files.pairs("import").paths()[0].stat().st_mtime_ns
    run_recipe(load_recipe(tmp_path / "r.yaml"))
    assert files.pairs("import").paths()[0].stat().st_mtime_ns == before
    assert json.loads(files.json("relabel/relabel").read_text())["pairs"] == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [("[]", "is no meta.json"), ('{"a": {"root": "x"}}', "is no meta.json"),
     ('{"a": {"root": "x", "annotation": "y.jsonl"}}', "which is not there"),
     ('{"a": {"root": "x", "annotation": "y.jsonl", "repeat_time": "often"}}', "is no meta.json")],
)  # fmt: skip
def test_a_meta_that_cannot_be_used(tmp_path, imported, content, message):
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(DataError, match=message):
        imported(Format.MMPR, tmp_path / "meta.json")


def test_the_command_takes_fields_of_the_step(tmp_path, lines):
    from typer.testing import CliRunner

    from mixpo.cli import app

    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    entry = {"file_name": "d.jsonl", "ranking": True, "formatting": "sharegpt", "columns": columns}
    lines(tmp_path / "d.jsonl", [{"conversations": [{"from": "human", "value": "A?"}], "chosen": "a", "rejected": "b"}])
    (tmp_path / "dataset_info.json").write_text(json.dumps({"one": entry, "two": entry}))
    given = ["import", "--format", "llama-factory", "--path", str(tmp_path), "--out", str(tmp_path / "run")]
    runner = CliRunner()
    assert "name one in `dataset`" in str(runner.invoke(app, given).exception)
    done = runner.invoke(app, [*given, "--option", "dataset=two", "--option", "fetch_images=true"])
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "run" / "pairs" / "import").is_dir()
