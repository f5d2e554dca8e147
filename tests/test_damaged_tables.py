"""Tables that somebody damaged or forged: a sentence, never a crash of what reads them, and memory in bounds."""

import io
import struct
import zipfile
from contextlib import suppress

import pyarrow
import pyarrow.parquet
import pytest

from fixtures.damage import NO_FILE
from mixpo import sheets
from mixpo.errors import DataError
from mixpo.tables import rows


def forged(data: bytes, offsets: list[int]) -> pyarrow.RecordBatch:
    """A column of text whose values stand where `offsets` say."""
    places = pyarrow.py_buffer(struct.pack(f"{len(offsets)}i", *offsets))
    column = pyarrow.Array.from_buffers(pyarrow.string(), len(offsets) - 1, [None, places, pyarrow.py_buffer(data)])
    return pyarrow.RecordBatch.from_arrays([column], ["text"])


def test_arrow_that_lies_about_where_its_values_stand(tmp_path):
    """Without a check it ends the process (a segmentation fault)."""
    path, batch = tmp_path / "a.arrow", forged(b"abc", [0, 2_000_000_000, 3])
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match="cannot be read as Arrow .*offset"):
        list(rows(path))


def test_a_lie_behind_a_text_that_is_none(tmp_path):
    """Each column is looked at by itself: a text that is not UTF-8 is a bad row, and hides no other column's fault."""
    texts, lie = forged(b"\xe9\xff!", [0, 1, 3]), forged(b"abc", [0, 2_000_000_000, 3])
    batch = pyarrow.RecordBatch.from_arrays([*texts.columns, *lie.columns], ["text", "lie"])
    path = tmp_path / "a.arrow"
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match="cannot be read as Arrow .*offset"):
        list(rows(path))


@pytest.mark.parametrize("about", [b"[]", b"{", b'{"info": {"features": {"a": 5}}}', b"\xff", b"[" * 100_000])
def test_what_a_table_says_of_itself_may_be_nonsense(tmp_path, about):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"a": [1]}).replace_schema_metadata({b"huggingface": about})
    pyarrow.parquet.write_table(table, path)
    assert [row.content for row in rows(path)] == [{"a": 1}]


@pytest.fixture(scope="module")
def book() -> dict[str, bytes]:
    """The parts of an Excel file."""
    openpyxl = pytest.importorskip("openpyxl")
    made, buffer = openpyxl.Workbook(), io.BytesIO()
    for row in (["id", "text"], ["1", "a"]):
        made.active.append(row)
    made.save(buffer)
    with zipfile.ZipFile(buffer) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(parts: dict[str, bytes], path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)


PARTS = ("docProps/core.xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml", "[Content_Types].xml")


@pytest.mark.parametrize("part", PARTS)
def test_an_excel_file_with_a_part_that_is_damaged(tmp_path, book, part):
    for content in (b"", book[part][: len(book[part]) // 2], b"\xff\xff", b"<a/>"):
        packed({**book, part: content}, tmp_path / "a.xlsx")
        found: list = []
        with suppress(DataError):  # a part that is not needed, or a sheet without rows, is no mistake
            found = [row.content for row in rows(tmp_path / "a.xlsx")]
        assert found in ([], [{"id": "1", "text": "a"}])


def test_an_excel_file_that_unpacks_to_too_much(tmp_path, book, monkeypatch):
    packed(book, tmp_path / "a.xlsx")
    assert len(list(rows(tmp_path / "a.xlsx"))) == 1
    monkeypatch.setattr(sheets, "MOST_UNPACKED", sum(map(len, book.values())) - 1)
    with pytest.raises(DataError, match=r"unpacks to more than [\d,]+ bytes; save it as CSV or Parquet"):
        list(rows(tmp_path / "a.xlsx"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.parquet", "a.arrow", "a.xlsx"])
@pytest.mark.parametrize("damage", ["a pipe", "a device"])
def test_what_is_no_file_is_never_waited_for(tmp_path, name, damage):
    NO_FILE[damage][0](tmp_path / name)
    with pytest.raises(DataError):
        list(rows(tmp_path / name))


def test_a_compressed_file_that_is_damaged_within(tmp_path):
    import gzip

    content = bytearray(gzip.compress(b'{"a": 1}\n' * 999))
    content[12:20] = b"\xff" * 8
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        list(rows(tmp_path / "a.jsonl.gz"))
