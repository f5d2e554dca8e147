"""Work done in a thread ahead of its use: a bounded number of items, of a bounded size."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from mixpo.responses.backend import Request

T = TypeVar("T")
REQUESTS_AHEAD = 32
"""Requests whose pictures are opened before the backend asks for them."""
PIXELS_AHEAD = 250_000_000
"""Pixels of all these pictures: a gigabyte, once they are decoded."""


class _Ready(Generic[T]):
    """Items with their sizes, between the thread that makes them and the one that uses them."""

    def __init__(self, count: int, room: int):
        self.count, self.room = count, room
        self.items: deque[tuple[T, int]] = deque()
        self.held = 0
        """Size of all items together."""
        self.ended = self.left = False
        self.error: BaseException | None = None
        self.changed = threading.Condition()

    def put(self, item: T, size: int) -> bool:
        """Waits until there is room; an item above all room waits until it is the only one. Whether it is wanted."""
        with self.changed:
            while not self.left and self.items and (len(self.items) >= self.count or self.held + size > self.room):
                self.changed.wait()
            self.items.append((item, size))
            self.held += size
            self.changed.notify_all()
            return not self.left

    def end(self, error: BaseException | None = None) -> None:
        with self.changed:
            self.ended, self.error = True, error
            self.changed.notify_all()

    def leave(self) -> None:
        with self.changed:
            self.left = True
            self.items.clear()
            self.changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self.changed:
                while not (self.items or self.ended):
                    self.changed.wait()
                if not self.items:
                    break
                item, size = self.items.popleft()
                self.held -= size
                self.changed.notify_all()
            yield item
        if self.error is not None:
            raise self.error


def opened_ahead(requests: Iterable[Request]) -> Iterator[Request]:
    """The requests, whose pictures are opened in a thread."""
    return read_ahead(requests, REQUESTS_AHEAD, lambda request: request.pixels, PIXELS_AHEAD)


def read_ahead(items: Iterable[T], count: int, size: Callable[[T], int] = lambda item: 0, room: int = 0) -> Iterator[T]:
    """The items, in order, at most `count` of them prepared before they are asked for, of at most `room` together by
    their `size`, and one in the making.

    An error in the thread is raised here, after the items before it. When the consumer leaves early the
    thread ends at its next item.
    """
    ready = _Ready[T](count, room)

    def produce() -> None:
        try:
            for item in items:
                if not ready.put(item, size(item)):
                    return
        except BaseException as error:  # handed over to the consumer, who raises it
            ready.end(error)
        else:
            ready.end()

    threading.Thread(target=produce, daemon=True).start()
    try:
        yield from ready
    finally:
        ready.leave()
