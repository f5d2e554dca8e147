"""Work ahead of its use."""

import threading
import time

import pytest
from PIL import Image

from mixpo.responses import prefetch
from mixpo.responses.backend import Request
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


def test_items_wait_by_their_size_and_one_above_all_room_comes_alone():
    """Room 10, items of size 4: two wait and one is in the thread's hand. The last is larger than all room."""
    made = []

    def items():
        for size in [4] * 9 + [100]:
            made.append(size)
            yield size

    ahead = read_ahead(items(), 32, lambda size: size, 10)
    assert next(ahead) == 4
    time.sleep(0.2)
    assert len(made) == 4
    assert list(ahead) == [4] * 8 + [100]


def test_pictures_are_opened_ahead_by_their_pixels(monkeypatch):
    monkeypatch.setattr(prefetch, "PIXELS_AHEAD", 100)
    opened = []

    def requests():
        for number in range(20):
            opened.append(number)
            yield Request(id=str(number), prompt="?", images=(Image.new("RGB", (5, 8)),))

    ahead = prefetch.opened_ahead(requests())
    assert next(ahead).pixels == 40
    time.sleep(0.2)
    assert len(opened) == 4
    ahead.close()


def test_the_thread_ends_when_the_consumer_leaves():
    before = threading.active_count()
    ahead = read_ahead(range(1000), 1)
    next(ahead)
    ahead.close()
    deadline = time.monotonic() + 60
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before
