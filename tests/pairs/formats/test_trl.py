"""TRL's preference rows in the forms of its docs/source/dataset_formats.md."""

import shutil

import pytest

from mixpo.messages import PICTURE
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason

TEXT = {"type": "text", "text": "What?"}
IMAGE = {"type": "image"}


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


ANSWERS = {"chosen": [assistant("red")], "rejected": [assistant("blue")]}


def said(pair):
    return pair.system, [turn.text for turn in pair.turns], pair.prompt, pair.chosen, pair.rejected, len(pair.images)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, ("The sky is", " blue.", " green.", 0)),
        ({"chosen": "The sky is blue.", "rejected": "The sky is green."}, ("The sky is", " blue.", " green.", 0)),
        ({"prompt": [user("What?")], **ANSWERS}, ("What?", "red", "blue", 0)),
        ({"chosen": [user("What?"), assistant("red")], "rejected": [user("What?"), assistant("blue")]},
         ("What?", "red", "blue", 0)),
        ({"prompt": "?", "chosen": [user("What?"), assistant("red")], "rejected": [user("What?"), assistant("blue")]},
         ("What?", "red", "blue", 0)),
        ({"prompt": "What?", **ANSWERS}, ("What?", "red", "blue", 0)),
        ({"prompt": [user("What?")], "chosen": "red", "rejected": "blue"}, ("What?", "red", "blue", 0)),
        ({"prompt": [user("What?")], "images": ["a.png"], **ANSWERS}, ("What?", "red", "blue", 1)),
        ({"prompt": [user("What?")], "image": "a.png", **ANSWERS}, ("What?", "red", "blue", 1)),
        ({"prompt": [user([IMAGE, TEXT])], "images": ["a.png"], **ANSWERS}, ("What?", "red", "blue", 1)),
        ({"prompt": [user([TEXT, IMAGE])], "images": ["a.png"], **ANSWERS}, (f"What?{PICTURE}", "red", "blue", 1)),
        ({"prompt": [user([{"type": "image", "image": "a.png"}, TEXT])], **ANSWERS}, ("What?", "red", "blue", 1)),
        ({"prompt": [user([{**IMAGE, "text": None}, {**TEXT, "image": None}])], "images": ["a.png"], **ANSWERS},
         ("What?", "red", "blue", 1)),
        # Where a part names the picture, `<image>` is words; in a text it is the picture's place.
        ({"prompt": [user([IMAGE, {**TEXT, "text": "See <image>"}])], "images": ["a.png"], **ANSWERS},
         ("See <image>", "red", "blue", 1)),
        ({"prompt": "See <image>", "images": ["a.png"], **ANSWERS}, (f"See {PICTURE}", "red", "blue", 1)),
        ({"prompt": "See <image>", **ANSWERS}, ("See <image>", "red", "blue", 0)),
        ({"prompt": [user([{"type": "text", "text": "What?"}])], "chosen": [assistant([{**TEXT, "text": "red"}])],
          "rejected": [assistant("blue")]}, ("What?", "red", "blue", 0)),
    ],
)  # fmt: skip
def test_rows(one, row, expected):
    assert said(one(Format.TRL, row))[2:] == expected


def test_conversations_with_pictures_in_several_turns(one):
    prompt = [{"role": "system", "content": "Be."}, user([TEXT, IMAGE, TEXT]), assistant("A."), user([IMAGE, TEXT])]
    pair = one(Format.TRL, {"prompt": prompt, "images": ["b.png", "a.png"], **ANSWERS})
    assert said(pair)[:3] == ("Be.", [f"What?{PICTURE}What?", "A."], f"{PICTURE}What?")
    assert pair.images == ("import/b.png", "import/a.png")


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({"prompt": "What?"}, DropReason.BAD_ROW, "no chosen"),
        ({"prompt": "What?", "completion": "x", "label": True}, DropReason.BAD_ROW, "no chosen"),
        ({"prompt": "What?", "chosen": "red", "rejected": "red"}, DropReason.SAME_TEXT, "same"),
        ({"prompt": "What?", "chosen": "", "rejected": "red"}, DropReason.EMPTY, "chosen is empty"),
        ({"chosen": [user("?"), assistant("a")], "rejected": [user("?"), assistant("a")]}, DropReason.SAME_TEXT, ""),
        ({"chosen": [user("?"), assistant("a"), user("!"), assistant("b")], "rejected": [user("?"), assistant("c")]},
         DropReason.UNSUPPORTED, "assistant, user, assistant"),
        ({"chosen": [user("?"), assistant("a")], "rejected": [user("?")]}, DropReason.UNSUPPORTED, "turns none"),
        ({"chosen": "red", "rejected": "blue"}, DropReason.BAD_ROW, "do not begin alike"),
        ({"chosen": "\n\nHuman: Hi\n\nAssistant: a", "rejected": "\n\nHuman: Hi\n\nAssistant: b"},
         DropReason.UNSUPPORTED, "written out"),
        ({"prompt": [user([IMAGE, IMAGE, TEXT])], "image": "a.png", **ANSWERS}, DropReason.BAD_ROW, "2 places"),
        ({"prompt": [user([{"type": "audio"}])], **ANSWERS}, DropReason.UNSUPPORTED, "'audio'"),
        ({"prompt": [user(3)], **ANSWERS}, DropReason.BAD_ROW, "role"),
        ({"prompt": [user([["What?"]])], **ANSWERS}, DropReason.BAD_ROW, "mapping"),
        ({"prompt": [user("?"), assistant("So")], **ANSWERS}, DropReason.UNSUPPORTED, "go on with"),
        ({"prompt": [user("?")], "chosen": [assistant([IMAGE])], "rejected": [assistant("x")]},
         DropReason.UNSUPPORTED, "a picture in a turn of the assistant"),
        ({"prompt": [user("?")], "tools": ["x"], **ANSWERS}, DropReason.UNSUPPORTED, "tools"),
        ({"prompt": [user("?")], "chosen": "x", "rejected": [assistant("x")]}, DropReason.BAD_ROW, "both"),
    ],
)  # fmt: skip
def test_what_is_dropped(one, row, reason, detail):
    found = one(Format.TRL, row)
    assert (found.reason, detail in found.detail) == (reason, True), found.detail


@pytest.mark.parametrize("kind", ["save_to_disk", "parquet"])
def test_folders_of_datasets(tmp_path, imported, image, kind):
    """Pictures inside, parts filled up with None."""
    datasets = pytest.importorskip("datasets")
    rows = {
        "images": [[{"bytes": image("red"), "path": None}], []],
        "prompt": [[user([{**IMAGE, "text": None}, TEXT])], [user([TEXT])]],
        "chosen": [[assistant([{**TEXT, "text": "red"}])]] * 2,
        "rejected": [[assistant([{**TEXT, "text": "blue"}])]] * 2,
    }
    data = datasets.Dataset.from_dict(rows).cast_column("images", datasets.List(datasets.Image()))
    if kind == "parquet":
        data.to_parquet(str(tmp_path / "data" / "train-00000-of-00001.parquet"))
    else:
        data.save_to_disk(str(tmp_path / "data"))
    pairs, dropped, _ = imported(Format.TRL, tmp_path / "data")
    assert [said(pair)[2:] for pair in pairs] == [("What?", "red", "blue", 1), ("What?", "red", "blue", 0)]
    assert dropped == []


@pytest.mark.parametrize("name", ["import-trl.jsonl", "trl-image-token-in-prompt.jsonl"])
def test_the_small_cases(case, tmp_path, imported, name):
    path = tmp_path / name
    path.write_text(case(name).read_text())
    shutil.copytree(case("import-lf"), tmp_path / "lf")
    pairs, dropped, _ = imported(Format.TRL, path)
    assert dropped == []
    assert len(pairs) == len(path.read_text().splitlines())
    assert {len(pair.images) for pair in pairs} == {1}
