"""Verdicts over several processes: none is left behind, however the one that started them ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpo.errors import UserError
from mixpo.verdicts import parallel

SCRIPT = Path(__file__).with_name("parallel_work.py")
ENDS = (
    ("judging", signal.SIGKILL),
    ("judging", signal.SIGTERM),
    ("judging", signal.SIGINT),
    ("starting", signal.SIGKILL),
    ("starting", signal.SIGINT),
)


def pids(folder):
    return [int(path.name.partition("-")[2]) for path in folder.iterdir()]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs POSIX signals")
def test_no_process_outlives_the_one_that_started_it(tmp_path):
    """Killed, stopped or interrupted, at work or while the others start; all at once, since each takes its time."""
    until, running = time.monotonic() + 60, {}
    for when, how in ENDS:
        folder = tmp_path / f"{when}-{how}"
        folder.mkdir()
        running[folder] = subprocess.Popen([sys.executable, SCRIPT, folder], stderr=subprocess.PIPE), how
    for folder, (parent, how) in running.items():
        while not pids(folder) and time.monotonic() < until:
            time.sleep(0.02)
        parent.send_signal(how)
    for folder, (parent, how) in running.items():
        parent.wait(20)  # of 60 seconds' work, none is waited for
        while any(map(alive, pids(folder))) and time.monotonic() < until:
            time.sleep(0.02)
        assert pids(folder), folder
        assert not any(map(alive, pids(folder))), folder
        if how == signal.SIGINT:
            assert parent.stderr.read().count(b"KeyboardInterrupt") == 1, "the others say nothing"
        parent.stderr.close()


def test_a_process_that_dies_gets_a_sentence(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import parallel_work

    monkeypatch.setattr(parallel, "WORTHWHILE", 1)
    with pytest.raises(UserError, match="a process that judges died"):
        list(parallel.in_parallel(parallel_work.die, parallel_work.pairs(2), 2, 1.5))
