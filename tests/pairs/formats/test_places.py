"""Pictures are looked for at import: one that is missing is a dropped row, a wrong root is said."""

import json

import pytest

from mixpo.errors import DataError
from mixpo.images import ImageRoots
from mixpo.pairs.formats.places import LOST
from mixpo.pairs.import_pairs import Format
from mixpo.records import DropReason


def rows(names):
    return [
        {"prompt": f"{number}?", "chosen": "c", "rejected": "r", "image": name} for number, name in enumerate(names)
    ]


@pytest.fixture
def pictures(tmp_path, image):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(image("red"))

    return make


def test_a_wrong_root_is_said_at_once_with_the_right_one(tmp_path, imported, lines, pictures):
    pictures("data/coco/1.png")
    path = lines(tmp_path / "pairs" / "d.jsonl", rows(["data/coco/1.png"] * 10 * LOST))
    with pytest.raises(DataError, match=f"none of the first {LOST} images is there: .* write `image_root: {tmp_path}`"):
        imported(Format.TRL, path)
    pairs, dropped, _ = imported(Format.TRL, path, image_root=str(tmp_path))
    assert (len(pairs), dropped) == (10 * LOST, [])


def test_a_root_below_the_file_is_found_too(tmp_path, imported, lines, pictures):
    pictures("pictures/1.png")
    path = lines(tmp_path / "d.jsonl", rows(["1.png"] * LOST))
    with pytest.raises(DataError, match=f"`image_root: {tmp_path}/pictures`"):
        imported(Format.TRL, path)


def test_absolute_paths_elsewhere_name_the_root(tmp_path, imported, lines, pictures):
    pictures("elsewhere/1.png")
    path = lines(tmp_path / "pairs" / "d.jsonl", rows([str(tmp_path / "elsewhere" / "1.png")] * LOST))
    with pytest.raises(DataError, match=f"`image_root: {tmp_path}/elsewhere`"):
        imported(Format.TRL, path)
    pairs, _, _ = imported(Format.TRL, path, image_root=str(tmp_path / "elsewhere"))
    assert len(pairs) == LOST


def test_some_that_are_missing_are_dropped_and_said(tmp_path, imported, lines, pictures, capsys):
    pictures("1.png")
    path = lines(tmp_path / "d.jsonl", rows(["1.png", "2.png", "3.png"]))
    pairs, dropped, _ = imported(Format.TRL, path)
    assert [record.reason for record in dropped] == [DropReason.BAD_IMAGE] * 2
    assert len(pairs) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "source 'import': 2 rows left out, the first because 2.png: there is no such file" in told


@pytest.mark.parametrize("first", ["path", "bytes"])
def test_paths_and_bytes_in_one_file(tmp_path, imported, lines, image, pictures, first):
    """The kind that comes first keeps the source's own root."""
    pictures("1.png")
    both = ["1.png", {"bytes": list(image("green"))}]
    path = lines(tmp_path / "d.jsonl", rows(both if first == "path" else both[::-1]))
    pairs, dropped, files = imported(Format.TRL, path)
    roots = ImageRoots.load(files.image_roots_file("import"))
    colours = {roots.open(pair.images[0]).getpixel((0, 0)) for pair in pairs}
    assert colours == {(255, 0, 0), (0, 128, 0)}
    assert pairs[0].images[0].startswith("import/")
    assert dropped == []
    assert ("import" in json.loads(files.image_roots_file("import").read_text())) is True


def test_an_image_that_is_fetched_or_refused(tmp_path, imported, lines):
    path = lines(
        tmp_path / "d.jsonl", [*rows(["http://127.0.0.1:9/a.png"]), {"prompt": "?", "chosen": "a", "rejected": "b"}]
    )
    _, dropped, _ = imported(Format.TRL, path)
    assert "fetch_images" in dropped[0].detail
    _, _, files = imported(Format.TRL, path, fetch_images=True, fetch_private=True, name="fetched")
    (dropped,) = files.dropped("fetched")
    assert (dropped.reason, "cannot be fetched" in dropped.detail) == (DropReason.BAD_IMAGE, True)
