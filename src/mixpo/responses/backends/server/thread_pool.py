"""Threads that work on jobs side by side and hand each over when it is finished."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Crew(Generic[Job, Result]):
    """At most `size` jobs in progress; used by one thread.

    The threads are daemons: a program that ends early does not wait for replies that may take minutes.
    """

    def __init__(self, work: Callable[[Job], Result], size: int):
        self.work, self.size = work, size
        self.busy = 0
        """Jobs given and not yet handed over."""
        self.threads = 0
        self.inbox: SimpleQueue[Job | None] = SimpleQueue()
        self.outbox: SimpleQueue[tuple[Job, Result | BaseException]] = SimpleQueue()

    @property
    def full(self) -> bool:
        return self.busy >= self.size

    def give(self, job: Job) -> None:
        """Starts a job, in a new thread when all are busy."""
        assert not self.full
        self.busy += 1
        if self.threads < self.busy:
            self.threads += 1
            threading.Thread(target=self._labour, daemon=True).start()
        self.inbox.put(job)

    def take(self) -> tuple[Job, Result | BaseException]:
        """A finished job with its result, or with the error that ended it; waits for one."""
        assert self.busy
        finished = self.outbox.get()
        self.busy -= 1
        return finished

    def leave(self) -> None:
        """The threads end after what they are working on, which nobody takes."""
        for _ in range(self.threads):
            self.inbox.put(None)

    def _labour(self) -> None:
        while (job := self.inbox.get()) is not None:
            try:
                self.outbox.put((job, self.work(job)))
            except BaseException as error:  # handed over to the taker, who raises or counts it
                self.outbox.put((job, error))
