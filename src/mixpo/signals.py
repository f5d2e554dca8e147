"""What ends the command line from outside: Ctrl-C, SIGTERM (a scheduler, `kill`) and SIGHUP (a terminal that is closed)
are one thing, and a second of them ends at once. Only the entry point asks for it: a program that imports mixpo keeps
its own handlers.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
STATUSES = {number: 128 + number for number in ENDING}
"""Exit statuses, as shells have them."""


class Interrupted(KeyboardInterrupt):
    """A signal that ends this process; what handles Ctrl-C handles it."""

    def __init__(self, number: int):
        super().__init__()
        self.status = STATUSES.get(signal.Signals(number), 128 + signal.SIGINT)


@contextmanager
def interrupting() -> Iterator[list[int]]:
    """Within, the first signal raises `Interrupted` in the main thread, and a second one ends the process at once.

    Yields a list that gets the first one's exit status: whatever is raised after it is its aftermath. A signal that is
    ignored (`nohup`) stays so, processes that are forked have none of this, and those of torchrun neither: one that
    waits for the others has no Python running that could raise anything.
    """
    statuses: list[int] = []
    if threading.current_thread() is not threading.main_thread() or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        yield statuses
        return
    owner = os.getpid()
    before = {number: signal.getsignal(number) for number in ENDING}
    taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def interrupt(number: int, frame: Any) -> None:
        if os.getpid() != owner:
            signal.signal(number, before[signal.Signals(number)])
            signal.raise_signal(number)
            return
        for one in taken:
            signal.signal(one, signal.SIG_DFL)
        error = Interrupted(number)
        statuses.append(error.status)
        raise error

    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield statuses
    finally:
        for number in taken:
            signal.signal(number, before[number])
