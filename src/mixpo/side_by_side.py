"""Sections of a recipe, or models of an evaluation, side by side, each in a process of its own."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mixpo.errors import UserError
from mixpo.progress import hide_bars


def side_by_side(
    work: dict[str, tuple[Callable[..., None], tuple[Any, ...]]], jobs: int
) -> Iterator[tuple[str, float]]:
    """Calls every function of `work` with its arguments, `jobs` at a time; yields its name and seconds as each is done.

    The cores are shared out among the processes, and a process ends with the one that started it, also when that one
    is killed: two must never write the same files. Raises what a function raises, after those under way are done;
    UserError when a process dies (out of memory, a kill).
    """
    threads = max(1, len(os.sched_getaffinity(0)) // jobs) if hasattr(os, "sched_getaffinity") else 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(threads,)) as pool:
        names = {pool.submit(_timed, function, given): name for name, (function, given) in work.items()}
        try:
            for future in as_completed(names):
                yield names[future], future.result()
        except BrokenProcessPool as error:
            raise UserError("a process of the study died (out of memory, or killed); go on with fewer jobs") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    hide_bars()
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _timed(function: Callable[..., None], given: tuple[Any, ...]) -> float:
    started = time.monotonic()
    function(*given)
    return time.monotonic() - started
