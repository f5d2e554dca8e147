"""What a process does first that mixpo has started with multiprocessing."""

import multiprocessing
import os
import sys
import threading
from typing import Any


def share_of_cores(processes: int) -> int:
    """Cores that each of so many processes has, 1 at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // processes)


def begin(threads: int | None = None) -> None:
    """Computes with so many threads, and ends with the parent, also when that one is killed: two must never write the
    same files."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def end() -> None:
    """Ends this process at once with status 1, whatever its threads wait for."""
    sys.stderr.flush()
    os._exit(1)


def _end_with(parent: Any) -> None:
    parent.join()
    end()
