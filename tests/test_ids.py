"""The compact set of ids against Python's own."""

import sys

from hypothesis import example, given
from hypothesis import strategies as st

from mixpo.ids import Ids

PARTS = st.sampled_from(["q-1", "q", "", "/", "\n", "0", "7", "07", "31", "999", "1000", "٣", "-1", "7 "])
IDS = st.lists(st.lists(PARTS, min_size=1, max_size=3).map("/".join) | st.text(max_size=5), max_size=40)


@given(IDS, IDS)
@example(["a/0", "a/"], ["a/1"])
@example(["a/"], ["a/0"])
def test_it_is_a_set(added, asked):
    ids, plain = Ids(), set()
    for id in added:
        assert ids.add(id) == (id not in plain)
        plain.add(id)
        assert len(ids) == len(plain)
    for id in [*added, *asked]:
        assert (id in ids) == (id in plain)


def test_responses_take_the_memory_of_their_questions():
    """32 responses a question: one entry each in the dictionary, nothing as text."""
    ids = Ids()
    for question in range(100):
        for sample in range(32):
            assert ids.add(f"scenes-{question}/{sample}")
    assert len(ids) == 3200
    assert ids._children == {f"scenes-{question}/": 2**32 - 1 for question in range(100)}
    assert not ids._others
    assert sys.getsizeof(ids._children) < 100 * 100
