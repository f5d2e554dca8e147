"""Rows of every kind of file: the same rows, their numbers and lines, bad lines, encodings, memory."""

import csv
import gzip
import json
import os
import random
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest

from mixpo.errors import DataError, RecipeError
from mixpo.recipe import load_recipe
from mixpo.tables import BATCH_ROWS, ENDINGS, BadLine, ending, json_lines, rows, write_jsonl, write_parquet

ROWS = [{"id": f"r{number}", "text": f"line\u2028{number} ä\n, \t“x”"} for number in range(2 * BATCH_ROWS + 3)]
SCHEMA = pyarrow.schema([("id", pyarrow.string()), ("text", pyarrow.string())])
TABLE = pyarrow.Table.from_pylist(ROWS, SCHEMA)


def as_json_lines(path, given=ROWS):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in given), encoding="utf-8")


def as_table(delimiter):
    def write(path):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(ROWS)

    return write


def as_xlsx(path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["id", "text"], [None, None], *([row["id"], row["text"]] for row in ROWS)):
        book.active.append(row)
    book.save(path)


def as_arrow_stream(path):
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, SCHEMA) as writer:
        writer.write_table(TABLE)


def as_arrow_file(path):
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, SCHEMA) as writer:
        writer.write_table(TABLE, max_chunksize=50)


def as_saved_to_disk(path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset(TABLE).save_to_disk(path, num_shards=2)


def as_parquet_folder(path):
    (path / "b").mkdir(parents=True)
    pyarrow.parquet.write_table(TABLE[:10], path / "a.parquet")
    pyarrow.parquet.write_table(TABLE[10:], path / "b" / "b.parquet")


def as_text(content):
    return lambda path: path.write_text(json.dumps(content), encoding="utf-8")


def by_gzip(write):
    def zipped(path):
        plain = path.with_suffix("")
        write(plain)
        path.write_bytes(gzip.compress(plain.read_bytes()))

    return zipped


KINDS = {
    "a.jsonl": as_json_lines,
    "a.txt": as_json_lines,
    "lines.json": as_json_lines,
    "A.JSONL": as_json_lines,
    "a.jsonl.gz": by_gzip(as_json_lines),
    "a.json": as_text(ROWS),
    "a.json.gz": by_gzip(as_text(ROWS)),
    "data.json": as_text({"version": 1, "data": ROWS}),
    "logs.json": as_text({"args": {}, "logs": ROWS}),
    "a.csv": as_table(","),
    "a.tsv": as_table("\t"),
    "a.tsv.gz": by_gzip(as_table("\t")),
    "a.xlsx": as_xlsx,
    "a.parquet": lambda path: pyarrow.parquet.write_table(TABLE, path, row_group_size=100),
    "stream.arrow": as_arrow_stream,
    "file.arrow": as_arrow_file,
    "saved": as_saved_to_disk,
    "folder": as_parquet_folder,
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, name):
    KINDS[name](tmp_path / name)
    found = list(rows(tmp_path / name, strict=True))
    assert [row.content for row in found] == ROWS
    assert [row.number for row in found] == [row.line for row in found] == list(range(1, len(ROWS) + 1))


def test_rows_by_name_and_a_row_alone(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"x": {"text": "a"}, "y": {"text": "b", "key": "own"}}')
    assert [row.content for row in rows(path)] == [{"key": "x", "text": "a"}, {"key": "own", "text": "b"}]
    path.write_text('{"text": "a", "meta": {}}')
    assert [row.content for row in rows(path)] == [{"text": "a", "meta": {}}]
    path.write_text("3")
    with pytest.raises(DataError, match=r"a\.json: a JSON file holds a list of rows"):
        list(rows(path))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv"])
def test_a_byte_order_mark_is_skipped(tmp_path, name):
    KINDS[name](tmp_path / name)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert [row.content for row in rows(tmp_path / name)] == ROWS


def test_blank_lines_count_as_lines_and_not_as_rows(tmp_path):
    (tmp_path / "a.jsonl").write_text('\n{"a": 1}\r\n  \n[2]\nnull')
    assert list(rows(tmp_path / "a.jsonl")) == [(1, 2, {"a": 1}), (2, 4, [2]), (3, 5, None)]


def test_a_bad_line_comes_alone_with_its_reason(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"a": \n{"a": "\xff"}\n' + b"[" * 200_000 + b'\n{"a": 2}\n\xef\xbb\xbf{}')
    found = list(rows(path))
    assert [row.line for row in found] == [1, 3, 4, 5, 6, 7]
    assert [isinstance(row.content, BadLine) for row in found] == [False, True, True, True, False, True]
    assert "not valid JSON" in str(found[1].content)
    assert str(found[2].content) == "not UTF-8 text (byte 0xff at 8)"
    with pytest.raises(DataError, match=r"a\.jsonl:3: not valid JSON \(.*\); mend or remove the line"):
        list(rows(path, strict=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"id,text\n1,a\n2,\xe4\n"),
        ("a.tsv", b"id\ttext\n1\ta\n2\t\xe4\n"),
        ("a.json", b'[\n"a",\n"\xe4"]'),
    ],
)
def test_text_that_is_not_utf8_is_an_error_that_names_the_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}:3: the text is not UTF-8"):
        list(rows(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", b'[{"a": 1},\n{"a"', "cannot be read as JSON"),
        ("a.json", b"", "cannot be read as JSON"),
        ("a.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("a.arrow", b"ARROW1 no", "cannot be read as Arrow"),
        ("a.jsonl.gz", b"no", "cannot be read"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        list(rows(tmp_path / name))
    assert str(tmp_path / name) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_folders_without_rows_are_named(tmp_path):
    with pytest.raises(DataError, match="holds no Parquet file"):
        list(rows(tmp_path))
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match="is not what `datasets` saves"):
        list(rows(tmp_path))
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(DataError, match="name the folder of one"):
        list(rows(tmp_path))
    with pytest.raises(DataError, match=r"gone\.jsonl: cannot be read \(No such file"):
        list(rows(tmp_path / "gone.jsonl"))
    with pytest.raises(DataError, match="it is a folder, no file"):
        list(json_lines(tmp_path))


def test_empty_cells_are_left_out_and_large_ones_are_read(tmp_path):
    (tmp_path / "a.csv").write_text(f"id,text,,more\n1,,x,\n\n2,{'y' * 200_000},,z,,\n")
    assert [row.content for row in rows(tmp_path / "a.csv")] == [
        {"id": "1"},
        {"id": "2", "text": "y" * 200_000, "more": "z"},
    ]


def test_the_ending_tells_the_kind(tmp_path):
    assert [ending(tmp_path / name) for name in ("a.JSONL.gz", "a.tar.csv", "a")] == [".jsonl", ".csv", ""]
    assert set(ENDINGS) == {".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".parquet", ".arrow"}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet", "a.arrow"])
def test_a_large_file_is_never_held_whole(tmp_path, name):
    """20 MB of rows: Python and Arrow together hold less than 4 MB at any time."""
    rng = random.Random(0)
    big = [{"id": str(number), "text": rng.randbytes(2500).hex()} for number in range(4000)]
    path = tmp_path / name
    if name == "a.parquet":
        table = pyarrow.Table.from_pylist(big, SCHEMA)  # one row group, of pages of a hundred rows
        pyarrow.parquet.write_table(table, path, write_batch_size=100, data_page_size=100_000, use_dictionary=False)
    elif name == "a.arrow":
        with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_stream(file, SCHEMA) as writer:
            writer.write_table(pyarrow.Table.from_pylist(big, SCHEMA), max_chunksize=1000)
    elif name == "a.csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "text"])
            writer.writeheader()
            writer.writerows(big)
    else:
        write_jsonl(big, path.with_suffix("") if name.endswith(".gz") else path)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(path.with_suffix("").read_bytes(), 1))
    size = sum(len(row["text"]) for row in big)
    table = None
    del big
    before, held, count = pyarrow.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    try:
        for row in rows(path):
            count += len(row.content["text"])
            held = max(held, pyarrow.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == size > 15_000_000
    assert peak + held < 4_000_000


def test_a_column_s_text_that_is_not_utf8_is_one_bad_row(tmp_path):
    """So is a date that is none: the rows beside it are read."""
    stored = pyarrow.array([b"one", "caf\u00e9".encode("latin-1"), b"three"], pyarrow.binary())
    text = pyarrow.StringArray.from_buffers(3, *stored.buffers()[1:])
    dates = pyarrow.array([0, 0, 2**62], pyarrow.int64()).cast(pyarrow.timestamp("s"))
    pyarrow.parquet.write_table(pyarrow.table({"text": text}), tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(tmp_path / "a.arrow", pyarrow.schema([("date", pyarrow.timestamp("s"))])) as file:
        file.write_table(pyarrow.table({"date": dates}))
    one, bad, three = rows(tmp_path / "a.parquet")
    assert (one.content, three.content) == ({"text": "one"}, {"text": "three"})
    assert isinstance(bad.content, BadLine)
    assert "not UTF-8 text" in str(bad.content)
    assert [isinstance(row.content, BadLine) for row in rows(tmp_path / "a.arrow")] == [False, False, True]
    with pytest.raises(DataError, match=r"a\.parquet:2: not UTF-8 text .*; mend or remove the line"):
        list(rows(tmp_path / "a.parquet", strict=True))


def test_the_line_that_is_not_utf8_is_named_and_no_other(tmp_path):
    """U+FFFD is a character like others."""
    (tmp_path / "a.csv").write_bytes("text\n\ufffd\n".encode() + b"caf\xe9\n")
    with pytest.raises(DataError, match=r"a\.csv:3: the text is not UTF-8; save the file in that encoding"):
        list(rows(tmp_path / "a.csv"))


@pytest.mark.parametrize("written", [b"name: a\nrun: caf\xe9\n", "name: a\n".encode("utf-16")])
def test_a_recipe_that_is_not_utf8_is_named_with_its_line(tmp_path, written):
    (tmp_path / "r.yaml").write_bytes(written)
    with pytest.raises(RecipeError, match=r"r\.yaml:[12] cannot be read \(the text is not UTF-8\); give"):
        load_recipe(tmp_path / "r.yaml")


def test_parquet_is_written_into_a_folder_whose_name_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9") / "rows.parquet"
    assert write_parquet([{"a": 1}], path, pyarrow.schema({"a": pyarrow.int64()}), {}) == 1
    assert pyarrow.parquet.read_table(path.rename(tmp_path / "rows.parquet")).to_pylist() == [{"a": 1}]
