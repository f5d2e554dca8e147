"""What a process does first that mixpo has started with multiprocessing."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any


def share_of_cores(processes: int) -> int:
    """Cores that each of so many processes has, 1 at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


def begin(threads: int | None = None) -> None:
    """Computes with so many threads, and ends with the parent, also when that one is killed: two must never write the
    same files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A process that is started inside never hears SIGINT and SIGTERM, which a terminal or a scheduler sends to all at
    once: the one that started it stops it, and it ends with that one (`begin`)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = _block({signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def heard_here_alone() -> Iterator[None]:
    """A process that is started inside does not hear SIGINT until it calls `hear`: while it is importing, it could
    answer with a traceback only. This one hears it as before, in the time that a thread takes to pass it on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    over = threading.Event()
    # Begun before it is blocked: this thread is given the signal, and Python has the main one handle it.
    threading.Thread(target=over.wait, daemon=True).start()
    before = _block({signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        over.set()


def _block(signals: set[signal.Signals]) -> set[int | signal.Signals]:
    """Has this thread, and what it starts, not hear them; what it heard before."""
    resource_tracker.ensure_running()  # when it begins, multiprocessing unblocks them in the thread that needs it
    return signal.pthread_sigmask(signal.SIG_BLOCK, signals)


def hear() -> None:
    """SIGINT ends this process at once and without a word, also one that came while it could not be heard."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end() -> None:
    """Ends this process at once with status 1, whatever its threads wait for."""
    sys.stderr.flush()
    os._exit(1)


def _end_with(parent: Any) -> None:
    parent.join()
    end()
