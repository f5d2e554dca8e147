"""`mixpo status --check`: every shard of a run and of its evaluations is compared with its checksums."""

import hashlib
import json
import os
import sys

import pytest
import yaml

from mixpo import cli
from mixpo.checksums import beside
from mixpo.files import RunFiles
from mixpo.records import FinishReason, Question, Response, Score


@pytest.fixture
def files(tmp_path) -> RunFiles:
    files = RunFiles(tmp_path / "run")
    inner = files.evaluation("compare")
    for one, sections in ((files, ("sample", "questions")), (inner, ("base-test-cot", "test"))):
        asked = [Question(id=f"q-{number}", text="?", answer="17") for number in range(3)]
        one.questions(sections[1]).append(asked)
        one.responses(sections[0]).append(
            Response(id=f"{q.id}/0", question_id=q.id, sample=0, text="17", finish_reason=FinishReason.STOP)
            for q in asked
        )
    inner.scores().append(
        [
            Score(
                id="x", model="m", benchmark="b", style="s", category="all", metric="accuracy",
                value=0.5, low=0.4, high=0.6, n=9,
            )
        ]
    )  # fmt: skip
    files.recipe.write_text(yaml.safe_dump({"run": str(files.root), "steps": {"sample": {}}}))
    return files


@pytest.fixture
def checked(files, monkeypatch, capsys):
    """What the command says, and its exit status."""

    def call(*options):
        monkeypatch.setattr(sys, "argv", ["mixpo", "status", str(files.root), "--check", *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().out

    return call


def test_all_is_whole(files, checked):
    said = f"{files.root}: 13 lines of 5 shards compared with their checksums: all are whole\n"
    assert checked() == (0, said)


def test_a_changed_value_is_said_with_its_file_and_what_to_do(files, checked):
    """In the run and in an evaluation; a file that is cut; one that nothing covers."""
    (sampled,), (asked,) = files.responses("sample").paths(), files.questions("questions").paths()
    (answered,) = files.evaluation("compare").responses("base-test-cot").paths()
    sampled.write_text(sampled.read_text().replace('"17"', '"18"', 1))
    answered.write_bytes(answered.read_bytes()[:-9])
    beside(asked).unlink()
    status, said = checked()
    assert status == 2
    lines = said.splitlines()
    assert [line.partition(": this is not what mixpo wrote there")[0] for line in lines[:-1]] == [
        f"{answered}, lines 1-3", f"{sampled}, lines 1-3"
    ]  # fmt: skip
    assert "`--redo compare`" in lines[0]
    assert "`--redo sample`" in lines[1]
    assert "3 lines not covered by any" in lines[-1]
    assert lines[-1].endswith(": not all are whole")
    status, said = checked("--json")
    found = json.loads(said)["check"]
    assert (status, found["whole"], found["not_covered"], len(found["sentences"])) == (2, False, 3, 2)
    assert found["damaged"][1] == {"file": str(sampled), "lines": [1, 3]}


def test_pictures_that_are_named_by_their_content(files, checked):
    folder = files.pictures("questions") / "mine"
    folder.mkdir(parents=True)
    for content in (b"a picture", b"another"):
        (folder / f"{hashlib.sha256(content).hexdigest()[:20]}.png").write_bytes(content)
    (folder / f"{hashlib.sha256(b'https://x').hexdigest()[:20]}.img").write_bytes(b"fetched")
    assert "2 pictures with the checksums in their names: all are whole" in checked()[1]
    (damaged, another) = sorted(folder.glob("*.png"))
    damaged.write_bytes(b"a picturf")
    status, said = checked()
    assert (status, said.startswith(f"{damaged}: this is not the picture that mixpo stored")) == (2, True)
    another.unlink()
    os.mkfifo(another)
    assert f"{another}: cannot be read (it is a pipe, no file)" in checked()[1]


def test_checksums_that_cannot_be_read(files, checked):
    (asked,) = files.questions("questions").paths()
    beside(asked).write_text("?")
    status, said = checked()
    assert status == 2
    assert said.startswith(f"{beside(asked)} cannot be read")
