"""Work done in a thread ahead of its use, in a bounded queue."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Done:
    """Marks the end of the items, with the error that ended them, if one did."""

    def __init__(self, error: BaseException | None):
        self.error = error


def read_ahead(items: Iterable[T], size: int) -> Iterator[T]:
    """The items, in order, at most `size` of them prepared before they are asked for.

    An error in the thread is raised here, after the items before it. When the consumer leaves early the
    thread ends at its next item.
    """
    ready: queue.Queue[T | _Done] = queue.Queue(maxsize=size)
    left = threading.Event()

    def put(item: T | _Done) -> bool:
        while not left.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # handed over to the consumer, who raises it
            put(_Done(error))
        else:
            put(_Done(None))

    threading.Thread(target=produce, daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _Done):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        left.set()
