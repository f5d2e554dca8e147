"""Sections of a recipe in processes of their own."""

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mixpo.errors import UserError
from mixpo.pipeline import _together
from mixpo.recipe import Section
from mixpo.side_by_side import side_by_side


@pytest.fixture
def work(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("side_by_side_work")


def test_two_run_at_the_same_time_in_processes_of_their_own(work, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    done = dict(side_by_side({"a": (work.wait_for, (a, b)), "b": (work.wait_for, (b, a))}, 2))
    assert set(done) == {"a", "b"}
    assert all(seconds > 0 for seconds in done.values())
    assert len({a.read_text(), b.read_text(), str(os.getpid())}) == 3


def test_a_mistake_is_told_and_what_was_done_is_kept(work, tmp_path):
    done = side_by_side({"a": (work.write_pid, (tmp_path / "a",)), "b": (work.refuse, (tmp_path,))}, 1)
    assert next(done)[0] == "a"
    with pytest.raises(UserError, match="the pairs are missing"):
        next(done)


def test_a_process_that_dies_gets_a_sentence(work, tmp_path):
    with pytest.raises(UserError, match="a process of the study died"):
        list(side_by_side({"a": (work.die, (tmp_path,))}, 2))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_processes_end_with_the_one_that_started_them(tmp_path):
    """After SIGKILL of the study nobody may go on writing: the next `mixpo ablate` writes the same files. What ends it
    otherwise does not wait for them."""
    program = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import side_by_side_work as t\n"
        "from mixpo.side_by_side import side_by_side\nfrom mixpo.signals import interrupting\n"
        "if __name__ == '__main__':\n"
        "  with interrupting():\n"
        "    list(side_by_side({'a': (t.sleep_long, (pathlib.Path(sys.argv[2]),))}, 2))\n"
    )
    script, running = tmp_path / "study.py", {}
    script.write_text(program)
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):  # all at once: they take their time to begin
        arguments = [sys.executable, script, Path(__file__).parent, tmp_path / how.name]
        running[how] = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    for how, process in running.items():
        pid = tmp_path / how.name
        while not (pid.exists() and pid.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(how)
        process.wait(60)
        while Path(f"/proc/{pid.read_text()}").exists() and time.monotonic() < until:
            time.sleep(0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)


def test_samplings_of_several_seeds_stand_together():
    names = {"sample-s0": "sample", "sample-s1": "sample", "verify-s0": "verify", "verify-s1": "verify"}
    sections = {name: Section(name, step, {}) for name, step in names.items()}
    configs = {name: SimpleNamespace() for name in names}
    assert _together(sections, configs) == [["sample-s0", "sample-s1"], ["verify-s0"], ["verify-s1"]]


def test_trainings_stand_together_unless_one_starts_from_another():
    def section(name, step, **values):
        return Section(name, step, values)

    sections = [
        section("questions", "questions"), section("a", "train"), section("b", "train", model="step:start"),
        section("c", "train", model="step:b"), section("evaluate", "evaluate"), section("d", "train"),
    ]  # fmt: skip
    configs = {one.name: SimpleNamespace(**one.values) for one in sections}
    assert _together({one.name: one for one in sections}, configs) == [
        ["questions"],
        ["a", "b"],
        ["c"],
        ["evaluate"],
        ["d"],
    ]
