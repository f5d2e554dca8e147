"""`mixpo verify` on files: resumable, parallel, and mistakes named with file and line."""

import json

import pytest

from mixpo.errors import DataError, UserError
from mixpo.lock import held_beside
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
    ("which", "line", "reason", "message"),
    [
        (0, "{", "bad_row", "Q.jsonl:4: not a question"),
        (0, '{"id": "q9", "text": "?"}', "no_ground_truth", "Q.jsonl:4: no answer"),
        (0, '{"id": "q0", "answer": "1"}', "duplicate_id", "Q.jsonl:4: the question id 'q0' was there before"),
        (0, '{"id": "x", "answer": {"a": 1}}', "bad_row", "Q.jsonl:4: not a question (answer is dict, not text)"),
        (0, '{"id": "x", "answer": "1", "kind": "intger"}', "bad_row", "Q.jsonl:4: not a question (kind: 'intger' is"),
        (
            0,
            '{"id": "x", "answer": "1", "precision": 0.5}',
            "bad_row",
            "Q.jsonl:4: not a question (precision: must be a wh",
        ),
        (
            0,
            '{"id": "x", "answer": "1", "unit": 3}',
            "bad_row",
            "Q.jsonl:4: not a question (unit: must be text, not 3)",
        ),
        (0, '{"id": "x\\ud800", "answer": "1"}', "bad_row", "Q.jsonl:4: not a question (a text is not valid Unicode ("),
        (
            1,
            '{"id": "r", "question_id": "nobody", "text": "1"}',
            "bad_row",
            "R.jsonl:13: no question has the id 'nobody'",
        ),
        (
            1,
            '{"id": "q0/0", "question_id": "q0", "text": "1"}',
            "duplicate_id",
            "R.jsonl:13: the response id 'q0/0' was",
        ),
        (1, '{"id": "r", "question_id": "q0", "text": null}', "bad_row", "R.jsonl:13: not a response (no text)"),
    ],
)
def test_a_faulty_line_is_left_out_with_its_reason(files, capsys, which, line, reason, message):
    with files[which].open("a") as file:
        file.write(line + "\n")
    verify_files(*files)
    assert len(rows_of(files[2])) == 12, "the other lines are judged"
    (dropped,) = rows_of(files[2].with_name("V.jsonl.dropped.jsonl"))
    assert (dropped["reason"], dropped["detail"][: len(message)]) == (reason, message)
    assert f"1 line left out ({files[2]}.dropped.jsonl), the first: {message}" in capsys.readouterr().err


def test_reads_what_people_have(tmp_path, capsys):
    """Numbers for ids and answers, null fields, other names for the columns, no ids, options as a dictionary."""
    questions = [
        {"id": 1, "answer": 42, "choices": None, "kind": None, "text": None, "source": "mine"},
        {"qid": "two", "question": "Is it red?", "label": True},
        {"index": 3, "question": "Which?", "options": {"A": "cat", "B": "dog"}, "answer": "B"},
    ]
    responses = [
        {"question_id": 1, "prediction": "Final answer: 42", "finish_reason": None},
        {"qid": "two", "response": "Yes, it is."},
        {"index": 3, "prediction": "The dog."},
    ]
    paths = [tmp_path / name for name in ("Q.jsonl", "R.jsonl", "V.jsonl")]
    for path, rows in zip(paths, (questions, responses)):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    verify_files(*paths)
    verdicts = rows_of(paths[2])
    assert [(row["id"], row["outcome"]) for row in verdicts] == [
        ("1/1", "correct"), ("two/2", "correct"), ("3/3", "correct")
    ]  # fmt: skip
    said = "".join(capsys.readouterr())
    assert "Q.jsonl: columns not used: source" in said
    assert "3 correct" in said


@pytest.mark.parametrize("two", ["2", "2.0", '"2"', '"2.0"'])
def test_whole_numbers_as_tables_write_them(files, two):
    with files[0].open("a") as file:
        file.write(f'{{"id": "d", "answer": "3.14159", "kind": "decimal", "precision": {two}}}\n')
    with files[1].open("a") as file:
        for number, said in ((two, "3.14"), (0, "3.15")):
            row = f'"question_id": "d", "text": "Final answer: {said}", "sample": {number}, "thought_open": 0'
            file.write(f'{{"id": "d/{said}", {row}}}\n')
    verify_files(*files)
    assert [row["outcome"] for row in rows_of(files[2])[-2:]] == ["correct", "incorrect"]


def test_tables_are_read_too(tmp_path):
    """A spreadsheet's questions and a Parquet file's responses; a cell's precision is a number."""
    import pyarrow
    import pyarrow.parquet

    table = "\ufeffid,question,answer,kind,precision\n1,How long?,2.50,decimal,1\n2,How many?,,,\n"
    (tmp_path / "Q.csv").write_text(table)
    responses = [{"question_id": 1, "text": "Final answer: 2.54"}, {"question_id": 1, "text": "Final answer: 2.6"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(responses), tmp_path / "R.parquet")
    verify_files(tmp_path / "Q.csv", tmp_path / "R.parquet", tmp_path / "V.jsonl")
    assert [(row["id"], row["outcome"]) for row in rows_of(tmp_path / "V.jsonl")] == [
        ("1/1", "correct"), ("1/2", "incorrect")
    ]  # fmt: skip
    (dropped,) = rows_of(tmp_path / "V.jsonl.dropped.jsonl")
    assert (dropped["reason"], dropped["detail"]) == ("no_ground_truth", "Q.csv:2: no answer")


def test_blank_lines_are_counted_where_a_line_is_named_and_not_in_ids(tmp_path):
    (tmp_path / "Q.jsonl").write_text('{"id": "q", "answer": "1", "kind": "integer"}\n')
    lines = ["", '{"question_id": "q", "text": "1"}', "", '{"question_id": "q"', '{"qid": "q", "text": "1"}', ""]
    (tmp_path / "R.jsonl").write_text("\n".join(lines))
    verify_files(tmp_path / "Q.jsonl", tmp_path / "R.jsonl", tmp_path / "V.jsonl")
    assert [row["id"] for row in rows_of(tmp_path / "V.jsonl")] == ["q/1", "q/3"]
    (dropped,) = rows_of(tmp_path / "V.jsonl.dropped.jsonl")
    assert dropped["id"] == "R:2"
    assert dropped["detail"].startswith("R.jsonl:4: not a response (not valid JSON")


def test_a_lone_surrogate_stops_nothing(files, capsys):
    """A model's text may hold half a character: it is judged, and the verdict can be written."""
    with files[1].open("a") as file:
        file.write('{"id": "s", "question_id": "q0", "text": "Final answer: \\ud800"}\n')
    verify_files(*files)
    assert rows_of(files[2])[-1]["extracted"] == " ?"
    assert "1 response held half a character (no valid text), read as `?`" in capsys.readouterr().err


OTHER = (
    "my notes, one line",
    "a\nb\n",
    '{"id": "q0", "answer": "1"}\n',
    '{"id": "q0/0", "question_id": "q0", "text": "Final answer: 0"}',
    '{"id": "q0/0", "question_id": "q0", "outcome": "won"}',
    '{"id": "q0',
)


@pytest.mark.parametrize("content", OTHER)
@pytest.mark.parametrize("suffix", ["", ".dropped.jsonl"])
def test_a_file_of_another_kind_is_left_as_it_is(files, content, suffix):
    other = files[2].with_name(f"V.jsonl{suffix}")
    other.parent.mkdir()
    other.write_text(content)
    with pytest.raises(DataError, match="not a file of"):
        verify_files(*files)
    assert other.read_text() == content
    assert list(other.parent.iterdir()) == [other], "nothing else is left there"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_what_is_read_is_not_written(files, which, link):
    read = files[which]
    read.write_text(read.read_text().rstrip("\n"))  # its last line looks like one that a kill tore
    before, out = read.read_bytes(), read
    if link is not None:
        out = read.with_name("linked.jsonl")
        getattr(out, link)(read)
    with pytest.raises(UserError, match=f"is the same file as {read}, which is read"):
        verify_files(files[0], files[1], out)
    assert read.read_bytes() == before


def test_a_verdict_without_its_newline_is_kept(files):
    """An editor leaves it out. Its response is not among those judged now: nobody would make it again."""
    verify_files(*files)
    whole = files[2].read_bytes()
    files[2].write_bytes(whole.rstrip(b"\n"))
    files[1].write_text('{"id": "new", "question_id": "q0", "text": "Final answer: 1"}\n')
    verify_files(*files)
    assert files[2].read_bytes()[: len(whole)] == whole
    assert rows_of(files[2])[-1]["id"] == "new"


def test_a_first_verdict_that_a_kill_tore_is_made_again(files):
    verify_files(*files)
    whole = files[2].read_bytes()
    files[2].write_bytes(whole[: whole.index(b"incorrect") + 3])
    verify_files(*files)
    assert files[2].read_bytes() == whole


def test_a_verdict_with_a_line_separator_in_it_is_one_line(files):
    with files[1].open("a") as file:
        file.write('{"id": "s\\u2028\\u0085", "question_id": "q0", "text": "Final answer: 1"}\n')
    verify_files(*files)
    before = files[2].read_bytes()
    verify_files(*files)
    assert files[2].read_bytes() == before


def test_links_in_a_circle_are_a_sentence(files):
    files[2].parent.mkdir()
    files[2].symlink_to(files[2])
    with pytest.raises(UserError, match="cannot be written"):
        verify_files(*files)


def test_two_never_write_the_same_verdicts(files):
    with held_beside(files[2]), pytest.raises(UserError, match=f"another mixpo is writing to {files[2]}; wait"):
        verify_files(*files)
    assert not files[2].exists()
    verify_files(*files)
    assert [path.name for path in files[2].parent.iterdir()] == ["V.jsonl"], "the lock is gone"


def test_no_usable_question(tmp_path, files):
    files[0].write_text('{"id": 1}\n')
    with pytest.raises(DataError, match="holds no question that can be used"):
        verify_files(*files)


@pytest.mark.parametrize(
    ("truth", "outcomes"),
    [
        ({"answer": ["1", 3]}, ["correct", "incorrect", "correct"]),
        ({"answer": "1", "accepted": ["3"]}, ["correct", "incorrect", "correct"]),
        ({"answer": [1, 2, 3], "kind": "list"}, ["incorrect", "incorrect", "incorrect"]),
    ],
)
def test_several_accepted_answers(files, truth, outcomes):
    questions, responses, out = files
    questions.write_text(json.dumps({"id": "q", **truth}) + "\n")
    texts = [{"id": f"q/{n}", "question_id": "q", "text": f"Final answer: {n}"} for n in (1, 2, 3)]
    responses.write_text("".join(json.dumps(row) + "\n" for row in texts))
    verify_files(questions, responses, out)
    assert [row["outcome"] for row in rows_of(out)] == outcomes
