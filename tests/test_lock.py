"""One mixpo at a time in a run folder, or at a file that a command writes."""

import errno
import fcntl
import os

import pytest

from mixpo import cli_steps, cli_tools
from mixpo.errors import UserError
from mixpo.files import RunFiles
from mixpo.lock import held, held_beside
from mixpo.records import PassRate, PreferencePair, Question


@pytest.fixture
def run(tmp_path):
    files = RunFiles(tmp_path / "run")
    files.questions("import").append([Question(id="q", text="How many?", answer="3")])
    files.pairs("import").append(
        [PreferencePair(id="p", question_id="q", prompt="How many?", chosen="3", rejected="4", origin="imported")]
    )
    files.pass_rates("pair").append([PassRate(id="q", correct=1, decided=2)])
    return files


def test_commands_that_write_into_a_run_wait_for_nobody(run):
    """Each of them gets a sentence while another process is at work there, and has done nothing."""
    before = sorted(run.root.rglob("*"))
    with held(run.lock):
        for command in (
            lambda: cli_steps.import_(format="trl", path=run.root, out=run.root),
            lambda: cli_steps.relabel(run.root),
            lambda: cli_steps.evaluate(model=["base"], benchmark=["mathvista"], out=run.root),
        ):
            with pytest.raises(UserError, match=f"another mixpo is writing to {run.root}; wait until it is done"):
                command()
    assert sorted(run.root.rglob("*")) == sorted([*before, run.lock])


def test_commands_that_write_a_file_or_a_folder_wait_for_nobody(run, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "rows.jsonl").write_text('{"text": "How many?", "answer": "3", "response": "3"}\n')
    with held_beside(out):
        for command in (
            lambda: cli_tools.export(run.root, "trl", out, pairs="import"),
            lambda: cli_tools.pass_rates(run.root, out, questions="import"),
            lambda: cli_tools.publish(run.root, out, section="import", data=True),
            lambda: cli_tools.convert(run.root, out),
            lambda: cli_tools.score(tmp_path / "rows.jsonl", "file", out=out),
            lambda: cli_tools.init(tmp_path / "rows.jsonl", out=out, model="base", yes=True),
        ):
            with pytest.raises(UserError, match=f"another mixpo is writing to {out}; wait until it is done"):
                command()
    assert not out.exists()


def test_a_lock_beside_a_file_is_gone_afterwards_and_nothing_else_is(tmp_path):
    out, lock = tmp_path / "out.jsonl", tmp_path / ".out.jsonl.lock"
    with held_beside(out):
        assert lock.exists()
    assert not lock.exists()
    lock.touch()  # a killed process left it
    with held_beside(out):
        pass
    assert not lock.exists()
    lock.write_text("not a lock")
    with held_beside(out):
        pass
    assert lock.read_text() == "not a lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "other")
    with pytest.raises(UserError, match="cannot be written"), held_beside(out):
        pass
    assert not (tmp_path / "other").exists()


def test_a_file_has_one_lock_by_whatever_name(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with held_beside(tmp_path / "out"), pytest.raises(UserError, match="another mixpo"), held_beside(tmp_path / "link"):
        pass


def test_a_lock_that_its_holder_removes_is_not_taken_for_one(tmp_path, monkeypatch):
    """Between its opening and its locking the file may go, and another process make a new one: two would hold each."""
    out, lock, really = tmp_path / "out", tmp_path / ".out.lock", fcntl.flock
    opened = []

    def flock(descriptor, how):
        if not opened:
            lock.unlink()
        opened.append(descriptor)
        really(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with held_beside(out):
        assert len(opened) == 2
        assert os.path.samestat(os.fstat(opened[-1]), lock.stat())


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_told_and_worked_on(tmp_path, monkeypatch, caplog, number):
    def flock(descriptor, how):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with held(tmp_path / "run" / ".lock"):
        pass
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{tmp_path / 'run'} cannot be locked ({os.strerror(number)}): its file system has no locks; see that no other "
        "mixpo writes there"
    )
