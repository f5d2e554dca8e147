"""`mixpo verify` on files: resumable, parallel, and mistakes named with file and line."""

import json

import pytest

from mixpo.errors import DataError
from mixpo.verdicts import parallel
from mixpo.verdicts.verify_files import verify_files


@pytest.fixture
def files(tmp_path):
    """Questions, responses and the verdicts' path: 3 questions of 4 responses, of which the second of each is right."""
    questions, responses = tmp_path / "Q.jsonl", tmp_path / "R.jsonl"
    questions.write_text(
        "".join(json.dumps({"id": f"q{n}", "answer": "1", "kind": "integer"}) + "\n" for n in range(3))
    )
    rows = [
        {"id": f"q{n}/{s}", "question_id": f"q{n}", "text": f"Final answer: {s}"} for n in range(3) for s in range(4)
    ]
    responses.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return questions, responses, tmp_path / "out" / "V.jsonl"


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_verdicts_in_order(files):
    verify_files(*files)
    rows = rows_of(files[2])
    assert [row["id"] for row in rows] == [f"q{n}/{s}" for n in range(3) for s in range(4)]
    assert [row["outcome"] for row in rows] == ["incorrect", "correct", "incorrect", "incorrect"] * 3
    assert (rows[1]["extracted"], rows[1]["span"], rows[1]["rule"], rows[1]["kind"]) == (
        "1",
        [14, 15],
        "marker",
        "integer",
    )


def test_resumes_after_a_torn_line(files):
    verify_files(*files)
    whole = files[2].read_bytes()
    lines = whole.splitlines(keepends=True)
    files[2].write_bytes(b"".join(lines[:5]) + lines[5][:20])
    verify_files(*files)
    assert files[2].read_bytes() == whole
    verify_files(*files)
    assert files[2].read_bytes() == whole


def test_processes_give_the_same(files, monkeypatch):
    verify_files(*files)
    alone = files[2].read_bytes()
    files[2].unlink()
    monkeypatch.setattr(parallel, "WORTHWHILE", 4)
    monkeypatch.setattr(parallel, "CHUNK", 5)
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    verify_files(*files)
    assert files[2].read_bytes() == alone


@pytest.mark.parametrize(
    ("which", "line", "message"),
    [
        (0, "{", r"Q\.jsonl:4: not a question"),
        (0, '{"answer": "1"}', r"Q\.jsonl:4: not a question .*id"),
        (0, '{"id": "q0", "answer": "1"}', r"Q\.jsonl:4: .*'q0' was there before"),
        (0, '{"id": "x", "answer": 1}', r"Q\.jsonl:4: answer must be a string"),
        (0, '{"id": "x", "answer": "1", "knd": "integer"}', r"Q\.jsonl:4: .*unknown field 'knd'"),
        (0, '{"id": "x", "answer": "1", "kind": "intger"}', r"Q\.jsonl:4: .*intger"),
        (1, '{"id": "r", "question_id": "nobody", "text": "1"}', r"R\.jsonl:13: no question has the id 'nobody'"),
        (1, '{"id": "q0/0", "question_id": "q0", "text": "1"}', r"R\.jsonl:13: .*'q0/0' was there before"),
        (1, '{"id": "r", "question_id": "q0", "text": null}', r"R\.jsonl:13: text must be a string"),
    ],
)
def test_mistakes_name_file_and_line(files, which, line, message):
    with files[which].open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        verify_files(*files)


def test_missing_file(files, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jsonl cannot be read"):
        verify_files(tmp_path / "nowhere.jsonl", files[1], files[2])
