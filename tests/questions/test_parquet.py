import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mixpo.errors import DataError
from mixpo.questions import parquet
from mixpo.questions.rows import ReadOptions, item
from mixpo.records import DropReason, Question


def load(path, **fields):
    return list(parquet.load(parquet.Config(path=str(path), **fields), "tab", 0))


def test_images_as_bytes_as_structs_and_as_paths_are_all_stored(tmp_path, png):
    (tmp_path / "a.png").write_bytes(png("blue"))
    rows = [
        {"text": "one", "image": {"bytes": png("red"), "path": "whatever.png"}, "answer": "yes"},
        {"text": "two", "image": {"bytes": None, "path": "a.png"}, "answer": None},
        {"text": "three", "image": None, "answer": "3"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    one, two, three = load(tmp_path / "rows.parquet")
    assert list(one.pictures.values()) == [png("red")]
    assert list(two.pictures.values()) == [png("blue")]
    assert one.question.images == tuple(one.pictures)
    assert one.question.images[0].startswith("tab/")
    assert one.question.images[0].endswith(".png")
    assert three.question == Question(id="tab-2", text="three", answer="3")
    assert parquet.image_root(parquet.Config(path="x")) is None


def test_lists_of_images_and_a_picture_shared_by_questions(tmp_path, png):
    rows = [{"text": "a", "images": [png("red"), png("blue")]}, {"text": "b", "images": [png("red")]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    first, second = load(tmp_path / "rows.parquet")
    assert len(set(first.question.images)) == 2
    assert second.question.images == first.question.images[:1], "named by content: stored once"


def test_bad_images_are_dropped_with_a_reason(tmp_path, png):
    (tmp_path / "secret.png").write_bytes(png())
    folder = tmp_path / "data"
    folder.mkdir()
    images = [
        {"bytes": b"", "path": None},
        {"bytes": None, "path": "../secret.png"},
        {"bytes": None, "path": "gone.png"},
    ]
    rows = [{"text": "x", "image": image} for image in images]
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet")
    dropped = load(folder / "rows.parquet")
    assert [entry.reason for entry in dropped] == [DropReason.BAD_IMAGE] * 3
    assert [entry.id for entry in dropped] == [f"tab/rows.parquet:{line}" for line in (1, 2, 3)]
    assert "empty" in dropped[0].detail
    assert "outside" in dropped[1].detail
    assert "no such file" in dropped[2].detail


def test_columns_of_other_types_become_plain_meta(tmp_path):
    row = {"text": "x", "day": datetime.date(2020, 1, 2), "blob": b"abc", "nested": [{"n": 1.5}]}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    (entry,) = load(tmp_path / "rows.parquet")
    assert entry.question.meta == {"day": "2020-01-02", "blob": "<3 bytes>", "nested": [{"n": 1.5}]}


def test_a_folder_is_read_in_the_order_of_names_and_numbered_through(tmp_path):
    for name, texts in (("b", ["3"]), ("a", ["1", "2"])):
        pq.write_table(pa.Table.from_pylist([{"text": text} for text in texts]), tmp_path / f"{name}.parquet")
    assert [(entry.question.id, entry.question.text) for entry in load(tmp_path)] == [
        ("tab-0", "1"),
        ("tab-1", "2"),
        ("tab-2", "3"),
    ]


def test_a_torn_file_is_one_sentence(tmp_path):
    pq.write_table(pa.Table.from_pylist([{"text": "x" * 1000}]), tmp_path / "rows.parquet")
    content = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "rows.parquet").write_bytes(content[:-10])
    with pytest.raises(DataError, match=r"rows\.parquet: cannot be read as Parquet \(.*\); check or download it again"):
        load(tmp_path / "rows.parquet")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK", "I;16", "F"])
def test_pillow_images_of_every_mode_are_encoded(tmp_path, mode):
    options = ReadOptions(source="s", root=tmp_path, store=True)
    entry = item({"text": "x", "image": Image.new(mode, (3, 2))}, 0, "s:1", options)
    (content,) = entry.pictures.values()
    assert content.startswith(b"\x89PNG")
