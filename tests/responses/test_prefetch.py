"""Work ahead of its use."""

import threading
import time

import pytest

from mixpo.responses.prefetch import read_ahead


def test_order_and_end():
    assert list(read_ahead(range(100), 3)) == list(range(100))
    assert list(read_ahead([], 3)) == []


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ZeroDivisionError("seen")

    ahead = read_ahead(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(ZeroDivisionError, match="seen"):
        next(ahead)


def test_at_most_size_items_wait():
    """Size 2: two in the queue and one in the thread's hand."""
    made = []

    def items():
        for number in range(50):
            made.append(number)
            yield number

    ahead = read_ahead(items(), 2)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(made) <= 4


def test_the_thread_ends_when_the_consumer_leaves():
    before = threading.active_count()
    ahead = read_ahead(range(1000), 1)
    next(ahead)
    ahead.close()
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
