"""The requests to a server: what each holds, and which are still to be made."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mixpo.images import data_url
from mixpo.records import Dropped, DropReason
from mixpo.responses.backend import Request, consecutive

ROUNDS = 3
"""Times that a request which the server fails on, while it answers others, is asked before it is dropped."""


@dataclass(frozen=True)
class ServerRequest:
    """A request as the server gets it."""

    request: Request
    prefix: str
    """Text that the answer must continue."""

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        """The chat as the other backends have it, pictures in their places; made once for all samples."""
        pictures = iter(self.request.images)
        chat = [
            {"role": message["role"], "content": _content(message["content"], pictures)}
            for message in self.request.messages
        ]
        return [*chat, {"role": "assistant", "content": self.prefix}] if self.prefix else chat


def _content(parts: list[dict[str, Any]], pictures: Iterator[Any]) -> str | list[dict[str, Any]]:
    """A message's parts as servers take them; words alone are text."""
    if [part["type"] for part in parts] == ["text"]:
        return parts[0]["text"]
    return [
        {"type": "image_url", "image_url": {"url": data_url(next(pictures))}} if part["type"] == "image" else part
        for part in parts
    ]


@dataclass(frozen=True, slots=True)
class Job:
    """What one HTTP request asks for."""

    asked: ServerRequest
    samples: tuple[int, ...]
    round: int = 0
    """How often it was asked in vain."""


class Jobs:
    """What is still to be asked in one call of `complete`: every sample once, as long as none is in vain."""

    def __init__(self, asked: Iterator[ServerRequest], together: int):
        self.asked, self.together = asked, together
        self.waiting: deque[Job] = deque()
        self.dropped: set[str] = set()
        self.failures = 0
        """Requests given up since one was answered."""
        self.answered = False
        """Whether any was."""

    def next(self) -> Job | None:
        """The next job; new requests come before those that are asked again."""
        while True:
            if not self.waiting or self.waiting[0].round:
                asked = next(self.asked, None)
                if asked is not None:
                    parts = consecutive(asked.request.samples, self.together)
                    self.waiting.extendleft(Job(asked, part) for part in reversed(parts))
            if not self.waiting:
                return None
            job = self.waiting.popleft()
            if job.asked.request.id not in self.dropped:
                return job

    def again(self, job: Job) -> None:
        """The job comes next, or, asked in vain before, after all others."""
        if job.round:
            self.waiting.append(job)
        else:
            self.waiting.appendleft(job)

    def retry(self, job: Job, why: str, *, transient: bool) -> Iterator[Dropped]:
        """Asked again later; dropped when that was in vain too often. `transient`: it may be answered another day."""
        if job.round + 1 < ROUNDS:
            self.again(replace(job, round=job.round + 1))
        else:
            others = ", not on others" if self.answered else ""
            detail = f"the server failed on it {ROUNDS} times{others}: {why}"
            yield from self.drop(job, DropReason.REFUSED, detail, transient=transient)

    def drop(self, job: Job, reason: DropReason, detail: str, *, transient: bool = False) -> Iterator[Dropped]:
        """One record for a request, however many of its jobs fail."""
        own_id = job.asked.request.id
        if own_id not in self.dropped:
            self.dropped.add(own_id)
            yield Dropped(id=own_id, step="sample", reason=reason, detail=detail, transient=transient)
