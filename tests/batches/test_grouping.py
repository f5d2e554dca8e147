import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mixpo.batches.encode import Example
from mixpo.batches.grouping import GroupedSampler, split


def example(key: bytes, prompt: int, completions: int = 1):
    return Example(prompt_ids=[1] * prompt, completions=[[2] * completions, [3] * completions], key=key)


def test_split_keeps_a_question_together():
    """Six pairs of three questions in three micro-batches of two, whatever order they came in."""
    examples = [
        example(b"a", 5),
        example(b"b", 5),
        example(b"c", 9, 2),
        example(b"b", 5),
        example(b"c", 9),
        example(b"a", 5),
    ]
    parts = split(examples, 3)
    assert [[one.key for one in part] for part in parts] == [[b"a", b"a"], [b"b", b"b"], [b"c", b"c"]]


def test_split_without_keys_puts_like_lengths_together():
    examples = [example(None, length) for length in (9, 1, 8, 2)]
    assert [[len(one.prompt_ids) for one in part] for part in split(examples, 2)] == [[1, 2], [8, 9]]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_every_row_comes_once_an_epoch_and_groups_are_as_large_as_they_can_be(questions, size, seed, epoch):
    sampler = GroupedSampler(questions, size, seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(questions)))
    assert order == list(sampler)
    # Runs of one question: at most as many as its full groups and a rest.
    runs = Counter(
        questions[row] for place, row in enumerate(order) if place == 0 or questions[order[place - 1]] != questions[row]
    )
    for question, count in Counter(questions).items():
        assert runs[question] <= -(-count // size)


def test_every_row_is_at_every_place_equally_often():
    """3,000 epochs of 6 rows (4 of one question, 2 alone): each place holds each row 500 times, give or take 4.5
    standard deviations (sqrt(3000 * 1/6 * 5/6) = 20)."""
    counts = Counter()
    for epoch in range(3000):
        sampler = GroupedSampler([0, 0, 0, 0, 1, 2], 2, seed=7)
        sampler.set_epoch(epoch)
        counts.update(enumerate(sampler))
    # Groups of two leave a pair's place among groups uneven for single rows: compare rows of one question.
    for place in range(6):
        share = [counts[place, row] for row in range(4)]
        assert max(share) - min(share) < 2 * 4.5 * 20
    assert len({tuple(GroupedSampler([0, 0, 0, 0, 1, 2], 2, seed)) for seed in range(20)}) > 10


def test_epochs_differ():
    sampler = GroupedSampler(random.Random(0).choices(range(5), k=30), 3, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first


def test_the_order_of_every_epoch_is_that_of_earlier_versions():
    """A run that goes on must go on with the same pairs."""
    sampler = GroupedSampler(["a", "b", "a", "c", "b", "a"], pairs_per_group=2, seed=7)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders == [[1, 4, 3, 0, 5, 2], [2, 5, 0, 3, 1, 4], [3, 5, 0, 2, 4, 1]]
