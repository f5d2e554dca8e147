"""Sections of a recipe, or models of an evaluation, side by side, each in a process of its own."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mixpo.child import begin, share_of_cores
from mixpo.devices import VARIABLE, shared_out, visible
from mixpo.errors import UserError
from mixpo.progress import hide_bars


def side_by_side(
    work: dict[str, tuple[Callable[..., None], tuple[Any, ...]]], jobs: int
) -> Iterator[tuple[str, float]]:
    """Calls every function of `work` with its arguments, `jobs` at a time; yields its name and seconds as each is done.

    The cores and the GPUs are shared out among the processes, and a process ends with the one that started it, also
    when that one is killed: two must never write the same files. Raises what a function raises, after those under way
    are done; KeyboardInterrupt after they are ended; UserError when a process dies (out of memory, a kill).
    """
    context = multiprocessing.get_context("spawn")
    shares = context.SimpleQueue()
    for share in shared_out(visible(), jobs):
        shares.put(share)
    begins = (share_of_cores(jobs), shares)
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=begins) as pool:
        names = {pool.submit(_timed, function, given): name for name, (function, given) in work.items()}
        try:
            for future in as_completed(names):
                yield names[future], future.result()
        except BrokenProcessPool as error:
            raise UserError("a process of the study died (out of memory, or killed); go on with fewer jobs") from error
        except (KeyboardInterrupt, GeneratorExit):
            for process in multiprocessing.active_children():
                process.terminate()  # what they have not finished is made again; nobody is there to wait for it
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(threads: int, shares: Any) -> None:
    if not shares.empty():
        os.environ[VARIABLE] = shares.get()
    hide_bars()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one, and ends it
    begin(threads)


def _timed(function: Callable[..., None], given: tuple[Any, ...]) -> float:
    started = time.monotonic()
    function(*given)
    return time.monotonic() - started
