"""What has changed since it was written is noticed; kills and the size of appends leave no trace in the checksums."""

import random

import pytest

from mixpo import checksums, shards
from mixpo.checksums import Checked, beside, check, section_of
from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.records import Question
from mixpo.shards import Shards

COUNT = 23


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(checksums, "GROUP", 5)


def questions(start: int, end: int) -> list[Question]:
    return [Question(id=f"q-{number}", text=f"{number} x é" + "y" * (number % 4)) for number in range(start, end)]


@pytest.fixture
def written(tmp_path) -> Shards[Question]:
    found = RunFiles(tmp_path / "run").questions("mine")
    found.append(questions(0, COUNT))
    return found


def contents(found: Shards) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(found.folder.iterdir())}


def test_every_flipped_bit_is_noticed_before_a_record_of_its_lines_is_used(written):
    (path,) = written.paths()
    whole, rng = path.read_bytes(), random.Random(0)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        first = 5 * (whole[:place].count(b"\n") // 5) + 1
        last = min(first + 4, COUNT)
        read = []
        with pytest.raises(
            DataError, match=rf"part-00000.jsonl, lines {first}-{last}: .* `--redo mine`; .*delete .*crc32"
        ):
            read.extend(written)
        assert read == questions(0, first - 1)
        assert check(path) == Checked(COUNT, 0, ((first, last),))


def test_checksums_depend_on_what_is_written_alone(written, tmp_path):
    """One append, many, and one that was killed at any byte with the checksums of any time before."""
    expected = contents(written)
    assert list(expected) == ["part-00000.crc32", "part-00000.jsonl"]
    by_one = Shards(tmp_path / "one", Question)
    for question in questions(0, COUNT):
        by_one.append([question])
    assert contents(by_one) == expected
    rng = random.Random(0)
    for cut in range(0, len(expected["part-00000.jsonl"]) + 1, 3):
        before = Shards(tmp_path / f"before-{cut}", Question)
        whole = expected["part-00000.jsonl"][:cut].count(b"\n")
        before.append(questions(0, rng.randint(0, whole)))
        path = before.folder / "part-00000.jsonl"
        path.write_bytes(expected["part-00000.jsonl"][:cut])
        assert list(before) == questions(0, whole)
        before.append(questions(whole, COUNT))
        assert contents(before) == expected


def test_the_next_shard_has_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_RECORDS", 7)
    found = Shards(tmp_path / "q", Question)
    found.append(questions(0, 10))
    found.append(questions(10, COUNT))
    assert [check(path) for path in found.paths()] == [Checked(7, 0, ())] * 3 + [Checked(2, 0, ())]
    path = found.paths()[1]
    path.write_bytes(path.read_bytes().replace(b"q-8", b"q-9"))
    with pytest.raises(DataError, match="part-00001.jsonl, lines 1-5:"):
        list(found)


def test_what_has_no_checksums_is_read_as_it_is_and_covered_from_the_next_append_on(written):
    """A run of an older version; a file of the user's own; one that was changed on purpose."""
    (path,) = written.paths()
    beside(path).unlink()
    path.write_bytes(path.read_bytes().replace(b"7 x", b"8 x"))
    assert check(path) == Checked(COUNT, COUNT, ())
    assert list(written)[7].text.startswith("8 x")
    written.append(())
    assert check(path) == Checked(COUNT, 0, ())


def test_lines_that_are_lost_are_made_again_and_said_by_a_check(written):
    expected = contents(written)
    (path,) = written.paths()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:12]))
    assert check(path).damaged == ((11, 15), (16, 20), (21, 23))
    missing = [question for question in questions(0, COUNT) if question.id not in written.ids()]
    assert len(missing) == COUNT - 12
    written.append(missing)
    assert contents(written) == expected


def test_damaged_checksums(written):
    (path,) = written.paths()
    beside(path).write_text('{"lines": 5}\n')
    with pytest.raises(DataError, match=r"part-00000.crc32 cannot be read \('bytes' is missing\); delete it"):
        list(written)


def test_a_rerun_changes_no_file_s_time(written):
    """Nor does it write to a disk that is full or read-only for nothing."""
    before = {path: path.stat().st_mtime_ns for path in written.folder.iterdir()}
    written.append(())
    assert {path: path.stat().st_mtime_ns for path in written.folder.iterdir()} == before


@pytest.mark.parametrize("more", ['"of_the_future": 1', '"kind": "of_the_future"'])
def test_a_record_of_a_newer_version_is_not_made_again(written, more):
    (path,) = written.paths()
    with path.open("a") as file:
        file.write(f'{{"id": "q-99", "text": "?", {more}}}\n')
    with pytest.raises(
        DataError, match=r"part-00000.jsonl:24 is no Question of this mixpo .*newer version.*--redo mine"
    ):
        written.ids()


def test_damaged_lines_without_checksums_are_counted_in_one_warning(written, caplog):
    (path,) = written.paths()
    beside(path).unlink()
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3:6] = [b'{"id": "q-3", "te\n', b"\xff\n", lines[5].replace("é".encode(), b"\xe9")]
    path.write_bytes(b"".join(lines))
    for _ in range(2):
        assert [record.id for record in written] == [f"q-{n}" for n in range(COUNT) if n not in (3, 4, 5)]
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}:4 is damaged (no JSON; 3 lines are); what a Question there said is made again, "
        "and paid again if a server made it"
    ]


def test_the_section_that_made_a_shard(tmp_path):
    files = RunFiles(tmp_path / "evaluation")
    inner = files.evaluation("compare")
    for found, section in [
        (files.responses("sample"), "sample"),
        (inner.responses("base-test-cot"), "compare"),
        (inner.scores(), "compare"),
    ]:
        assert section_of(found.folder / "part-00000.jsonl") == section
