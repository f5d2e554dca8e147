"""SymPy in processes of its own: stopped at a time limit, killed where it does not stop, whatever a model wrote.

Workers are plain subprocesses, not signals and not a multiprocessing pool, so that this works from threads, from
daemons and from other pools. A process starts one on first use and keeps a few for its threads. A worker stops a
comparison by itself; one that cannot (a single long operation in C) is killed, and its successor starts at once, so
that the next comparison does not wait for SymPy to be imported.
"""

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from functools import lru_cache
from typing import Any

from mixpo.verdicts.mathematics.tree import Tree
from mixpo.verdicts.reading import Undecided

START_LIMIT = 120.0
"""Seconds for a worker to import SymPy; it does not count as time of a comparison."""
LINE_LIMIT = 20_000
GRACE = 0.2
"""Seconds beyond the limit before a worker that did not stop by itself is killed."""

_idle: list["SymbolicWorker"] = []
_lock = threading.Lock()
_limit = 1.5
_clock = threading.local()


class SymbolicWorker:
    """One subprocess that compares formulas, a JSON line each way."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mixpo.verdicts.mathematics.symbolic_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.owner = os.getpid()
        self.ready = False

    def wait(self) -> None:
        """Until SymPy is imported."""
        if not self.ready and self._answer(START_LIMIT) != "ready":
            self.kill()
            raise RuntimeError("the worker for symbolic comparisons did not start (is math-verify installed?)")
        self.ready = True

    def ask(self, seconds: float, *question: Any) -> Any:
        """The answer to a question. Raises TimeoutError, and EOFError when the process died."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([seconds, *question]).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise EOFError from error
        return json.loads(self._answer(seconds + GRACE))

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
    """How long the comparisons of one verdict may take together in this process."""
    global _limit
    _limit = seconds


def start_clock() -> None:
    """Begins a verdict: its comparisons share the time limit from here on."""
    _clock.left = _limit


@lru_cache(maxsize=65536)
def equal(left: Tree, right: Tree) -> bool | None:
    """Whether two expressions are equal; None when neither can be shown. Raises Undecided at the limits."""
    result: bool | None = _ask("equal", left, right)
    return result


@lru_cache(maxsize=65536)
def ratio_sign(left: Tree, right: Tree, left2: Tree, right2: Tree) -> int | None:
    """The sign of the constant c with left - right = c (left2 - right2); 0: there is none; None: it cannot be told."""
    result: int | None = _ask("ratio_sign", left, right, left2, right2)
    return result


@lru_cache(maxsize=65536)
def library_says(gold: str, said: str) -> bool | None:
    """What math-verify says of two formulas that it reads to their ends; None where it does not."""
    result: bool | None = _ask("library_says", gold, said)
    return result


def _ask(*question: Any) -> Any:
    left = getattr(_clock, "left", _limit)
    if left <= 0:
        raise Undecided("ran out of time")
    worker = _take()
    started = time.monotonic()
    try:
        answer = worker.ask(left, *question)
    except TimeoutError:
        _replace(worker)
        raise Undecided("ran out of time") from None
    except EOFError:
        _replace(worker)
        raise Undecided("ran out of memory") from None
    finally:
        _clock.left = left - (time.monotonic() - started)
    with _lock:
        _idle.append(worker)
    if answer == "time":
        raise Undecided("ran out of time")
    return answer


def _replace(worker: SymbolicWorker) -> None:
    worker.kill()
    with _lock:
        if not _idle:
            _idle.append(SymbolicWorker())


def _take() -> SymbolicWorker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.owner == os.getpid() and worker.process.poll() is None:
                break
        else:
            worker = SymbolicWorker()
    worker.wait()
    return worker


@atexit.register
def close() -> None:
    """Ends the idle workers of this process."""
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.owner == os.getpid():
                worker.kill()
