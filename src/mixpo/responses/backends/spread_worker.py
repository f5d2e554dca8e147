"""One process of `spread`: `python -m mixpo.responses.backends.spread_worker FD LEVEL`, FD an end of its pipe.

It is told `load` (config, model, its inputs), then any number of times `complete` (params), `request` (one) and at
last `end`; it says `loaded`, `want` (one more request than it was given at first), `result` (a completion or a
`Dropped`) and `done`, or `refused` (a UserError's sentence) or `failed` (a traceback), and then ends.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from mixpo.errors import UserError
from mixpo.progress import show_warnings
from mixpo.responses.backend import Request
from mixpo.responses.backends.make import load_backend


class Line:
    """This process's end of the pipe. The backend may ask for requests in one thread and give results in another."""

    def __init__(self, connection: Connection):
        self.connection = connection
        # A process forked from this one (an engine's) would keep the pipe open, and this one's death unnoticed.
        os.register_at_fork(after_in_child=connection.close)
        self.lock = threading.Lock()
        self.told: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                self.told.put(self.connection.recv())
        except (EOFError, OSError):
            # The parent is gone, however it ended: so is this process, and whatever it has started.
            os.killpg(0, signal.SIGKILL)

    def say(self, kind: str, content: Any = None) -> None:
        with self.lock:
            self.connection.send((kind, content))

    def requests(self) -> Iterator[Request]:
        """Those of one `complete`, as they come; for each that is taken another one is asked for."""
        while (told := self.told.get())[0] == "request":
            yield told[1]
            self.say("want")


def work(line: Line) -> None:
    """Loads the backend and answers for as long as there is anybody who asks."""
    _, *given = line.told.get()
    backend = load_backend(*given)
    line.say("loaded")
    while True:
        _, params = line.told.get()
        for result in backend.complete(line.requests(), params):
            line.say("result", result)
        line.say("done")


def main(descriptor: int, level: str) -> None:
    show_warnings(level)
    line = Line(Connection(descriptor))
    try:
        work(line)
    except UserError as error:
        line.say("refused", str(error))
    except Exception:
        line.say("failed", traceback.format_exc())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
