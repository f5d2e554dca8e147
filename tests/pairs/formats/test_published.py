"""RLHF-V, RLAIF-V, SPA-VL, VLFeedback and MMPR as they are published."""

import json

import pytest

from mixpo.images import ImageRoots
from mixpo.messages import PICTURE
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason
from mixpo.text_files import lies_in

SAID = {"question": "What is shown?", "chosen": "A cat.", "rejected": "A dog."}
READ = ("What is shown?", "A cat.", "A dog.", 1)
RLHF_V = {
    "ds_name": "RLHF-V", "text": json.dumps(SAID), "origin_dataset": "VQAv2", "idx": 0, "image_path": "./data/1.jpg",
    "origin_split": json.dumps({"model": "Muffin", "type": "question answering"}),
}  # fmt: skip


def said(pair):
    return pair.prompt, pair.chosen, pair.rejected, len(pair.images)


def parquet(path, rows):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize(
    ("form", "row"),
    [
        (Format.RLHF_V, RLHF_V),
        (Format.RLAIF_V, {**SAID, "ds_name": "RLAIF-V", "idx": 7, "image_path": "1.jpg", "logps": "[[1], [2]]"}),
        (Format.SPA_VL, SAID),
    ],
)
def test_one_image_in_parquet(tmp_path, imported, image, form, row):
    rows = [{**row, "image": {"bytes": image("red", "JPEG"), "path": "1.jpg"}}]
    pairs, _, files = imported(form, parquet(tmp_path / "x.parquet", rows))
    assert [said(pair) for pair in pairs] == [READ]
    assert ImageRoots.load(files.image_roots_file("import")).open(pairs[0].images[0]).size == (28, 28)


@pytest.mark.parametrize(
    ("form", "row", "expected"),
    [
        (Format.SPA_VL, {"id": 233, "image": "a.png", **SAID}, READ),
        (Format.SPA_VL, SAID, (*READ[:3], 0)),
        (Format.RLHF_V, {"text": SAID, "image_path": "./a.png"}, READ),
        (Format.RLAIF_V, {**SAID, "image": "a.png", "question": "<image>\nWhat is shown?"}, READ),
    ],
)
def test_one_image_in_json(one, form, row, expected):
    assert said(one(form, row)) == expected


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ({"image": "a.png", "question": "Is this safe?"}, "chosen must be text, not None"),
        ({"image": "a.png", "text": "no JSON"}, "text must be JSON"),
        ({**SAID, "image": "lost.png"}, "no such file"),
        ({**SAID, "image": {"bytes": None, "path": None}}, "an image must be a path or bytes"),
    ],
)
def test_one_image_that_is_dropped(one, row, detail):
    assert detail in one(Format.RLAIF_V, row).detail


def rating(*values):
    names = ("Helpfulness", "Ethical Considerations", "Visual Faithfulness")
    return {name: {"Rating": value, "Rationale": "…"} for name, value in zip(names, values, strict=True)}


RATED = [("A", "A cat.", rating("5", "5", "4")), ("B", "A dog.", rating("4", "5", "5")),
         ("C", "A cow.", rating("1", "5", "1")), ("D", "N.", rating("N/A", "5", "5"))]  # fmt: skip


@pytest.mark.parametrize("listed", [True, False])
def test_vlfeedback_pairs_of_ratings(tmp_path, one, imported, listed):
    """A and B are rated the same and D not at all: of six pairs two are made."""
    dicts = [{"model": model, "response": text, "annotations": given} for model, text, given in RATED]
    columns = {name: [each[name] for each in dicts] for name in ("model", "response", "annotations")}
    row = {"id": "svit-1", "prompt": " What is shown? ", "img_path": "a.png", "models": ["A", "B"],
           "completions": dicts if listed else columns}  # fmt: skip
    found = one(Format.VLFEEDBACK, row)
    pairs, dropped = found[:2], [record for record in found[2:] if record.id.startswith("import:1/")]
    assert [(pair.id, *said(pair)) for pair in pairs] == [
        ("import-1/0>2", "What is shown?", "A cat.", "A cow.", 1),
        ("import-1/1>2", "What is shown?", "A dog.", "A cow.", 1),
    ]
    assert pairs[0].question_id == pairs[1].question_id
    assert [(record.id, record.reason, record.count) for record in dropped] == [
        ("import:1/tied", DropReason.UNDECIDED, 1),
        ("import:1/unrated", DropReason.UNDECIDED, 3),
    ]


@pytest.mark.parametrize(
    ("completions", "detail"),
    [
        ([], "completions holds 0 responses"),
        ("x", "completions must be a list"),
        ({"response": ["a"], "model": ["A", "B"]}, "different lengths"),
    ],
)
def test_vlfeedback_rows_that_make_no_pair(one, completions, detail):
    found = one(Format.VLFEEDBACK, {"prompt": "?", "img_path": "a.png", "completions": completions})
    dropped = found if not isinstance(found, list) else found[0]
    assert detail in dropped.detail


ROW = {"image": "a.png", "question": "<image>\nWhat?", "chosen": "3", "rejected": "4"}


@pytest.fixture
def mmpr_row(tmp_path, imported, image, lines):
    """What a row of MMPR makes."""

    def read(row):
        for name in ("a.png", "b.png"):
            (tmp_path / "pictures" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "pictures" / name).write_bytes(image("red"))
        lines(tmp_path / "x.jsonl", [row, {"question": "?", "chosen": "a", "rejected": "b"}])
        meta = {"x": {"root": "pictures", "annotation": "x.jsonl", "repeat_time": 1}}
        (tmp_path / "meta.json").write_text(json.dumps(meta))
        pairs, dropped, files = imported(Format.MMPR, tmp_path)
        return (dropped or pairs)[0], next(iter(files.questions("import")))

    return read


@pytest.mark.parametrize(
    ("change", "prompt", "images"),
    [
        ({}, "What?", ("x/a.png",)),
        ({"question": "What?"}, "What?", ("x/a.png",)),
        ({"question": "See <image> here"}, f"See {PICTURE} here", ("x/a.png",)),
        # Of several marks the first is the picture of a text, and the first ones those of a list.
        ({"question": "See <image> or <image>"}, f"See {PICTURE} or <image>", ("x/a.png",)),
        ({"image": ["a.png"], "question": "<image> or <image>"}, " or <image>", ("x/a.png",)),
        ({"image": ["a.png", "b.png"], "question": "A: <image>\nB: <image>"}, f"A: {PICTURE}\nB: {PICTURE}",
         ("x/a.png", "x/b.png")),
        ({"image": ["a.png", "b.png"], "question": "<image>\n<image>\nWhat?"}, "What?", ("x/a.png", "x/b.png")),
        ({"image": ["a.png", "b.png"], "question": "What?"}, "What?", ("x/a.png", "x/b.png")),
        ({"question": "<image>\nA [IMG] here"}, "A [IMG] here", ("x/a.png",)),
        ({"image": [], "question": "What?"}, "What?", ()),
        ({"image": "", "question": "What?"}, "What?", ()),
    ],
)  # fmt: skip
def test_mmpr_places(mmpr_row, change, prompt, images):
    pair, _ = mmpr_row({**ROW, **change})
    assert (pair.prompt, pair.images) == (prompt, images)


def test_mmpr_more_images_than_marks(mmpr_row):
    dropped, _ = mmpr_row({**ROW, "image": ["a.png", "b.png"]})
    assert (dropped.reason, dropped.detail) == (DropReason.BAD_ROW, "the question has 1 place for 2 pictures")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("3", ("3", ())), (3, ("3", ())), (3.0, ("3", ())), (["3", "three", "3"], ("3", ("three",))), ([], (None, ())),
     ("", (None, ())), (None, (None, ()))],
)  # fmt: skip
def test_mmpr_ground_truths(mmpr_row, answer, expected):
    _, question = mmpr_row({**ROW, "answer_gt": answer})
    assert (question.answer, question.accepted) == expected


def test_the_small_case_of_mmpr(case, imported):
    pairs, dropped, _ = imported(Format.MMPR, case("import-mmpr"))
    assert [record.id for record in dropped] == ["set_a:7", "set_a:8", "set_a:9", "set_a:11", "c"]
    assert [pair.id for pair in pairs if pair.id.startswith(("b", "c"))][:2] == ["b-1", "b-1~2"]
    assert len(pairs) == 14


def test_a_data_set_in_the_hubs_cache_is_links_to_blobs_beside_it(tmp_path, imported):
    """Whatever else a link leads to is not read."""
    folder, blobs = tmp_path / "snapshots" / "1", tmp_path / "blobs"
    for place in (folder, blobs):
        place.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"a": {"root": ".", "annotation": "rows.jsonl"}}))
    for place in (blobs / "rows", tmp_path / "rows"):
        place.write_text(json.dumps(SAID) + "\n")
    (folder / "rows.jsonl").symlink_to(blobs / "rows")
    (folder / "own.jsonl").symlink_to(tmp_path / "rows")
    pairs, _, _ = imported(Format.MMPR, folder)
    assert [pair.chosen for pair in pairs] == ["A cat."]
    assert not lies_in(folder / "own.jsonl", folder)
