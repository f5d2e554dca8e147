"""math-verify in processes of its own: killed and replaced at a time limit, whatever a model wrote.

Workers are plain subprocesses, not signals and not a multiprocessing pool, so that this works from threads, from
daemons and from other pools. A process starts one on first use and keeps a few for its threads.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading

from mixpo.verdicts.reading import Undecided

START_LIMIT = 120.0
"""Seconds for a worker to import SymPy; it does not count as time of a comparison."""
LINE_LIMIT = 20_000

_idle: list["Worker"] = []
_lock = threading.Lock()
_limit = 2.0


class Worker:
    """One subprocess that compares formulas, a JSON line each way."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mixpo.verdicts.symbolic_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.owner = os.getpid()
        if self._answer(START_LIMIT) != "ready":
            self.kill()
            raise RuntimeError("the worker for symbolic comparisons did not start (is math-verify installed?)")

    def same(self, gold: str, answer: str, seconds: float) -> bool | None:
        """Whether two formulas are equal. Raises TimeoutError, and EOFError when the process died."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([gold, answer]).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise EOFError from error
        return {"true": True, "false": False}.get(self._answer(seconds))

    def _answer(self, seconds: float) -> str:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            raise TimeoutError
        line = self.process.stdout.readline(LINE_LIMIT)
        if not line:
            raise EOFError
        return line.decode().strip()

    def kill(self) -> None:
        """Ends the process at once."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def set_time_limit(seconds: float) -> None:
    """How long one comparison may take in this process."""
    global _limit
    _limit = seconds


def same(gold: str, answer: str) -> bool:
    """Whether two formulas are equal by algebra. Raises Undecided at the time limit, or when neither side can tell."""
    worker = _take()
    try:
        equal = worker.same(gold, answer, _limit)
    except TimeoutError:
        worker.kill()
        raise Undecided("ran out of time") from None
    except EOFError:
        worker.kill()
        raise Undecided("ran out of memory") from None
    with _lock:
        _idle.append(worker)
    if equal is None:
        raise Undecided("the formulas cannot be compared")
    return equal


def _take() -> Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.owner == os.getpid() and worker.process.poll() is None:
                return worker
    return Worker()


@atexit.register
def close() -> None:
    """Ends the idle workers of this process."""
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.owner == os.getpid():
                worker.kill()
