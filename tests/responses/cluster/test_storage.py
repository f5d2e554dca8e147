"""What a cluster reads from storage."""

import pytest

from mixpo.records import FinishReason, Response
from mixpo.responses.cluster.storage import read_questions, write_shard, written_ids

pytest.importorskip("fsspec")


def test_lines_that_are_not_utf8_make_no_record(tmp_path, caplog):
    """Nobody else could read them: a response in such a line is written again, a question is left out."""
    made = [
        Response(id=f"q/{n}", question_id="q", sample=n, text="café", finish_reason=FinishReason.STOP) for n in (0, 1)
    ]
    write_shard(str(tmp_path), "part-00000.jsonl", made)
    path = tmp_path / "part-00000.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first.decode().encode("latin-1") + second)
    assert ("q/0" in written_ids(str(tmp_path)), "q/1" in written_ids(str(tmp_path))) == (False, True)
    (tmp_path / "questions.jsonl").write_bytes(b'{"id": "a", "text": "caf\xe9"}\n{"id": "b", "text": "?"}\n')
    assert [placed.question.id for placed in read_questions([str(tmp_path / "questions.jsonl")])] == ["b"]
    assert "is no question" in caplog.text
