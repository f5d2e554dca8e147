"""Intervals and tests against published tables, hand arithmetic, and a bootstrap."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.evaluation.statistics import accuracy, difference, mcnemar, newcombe, sign_flips, wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_table(right, n, low, high):
    """Newcombe 1998, Stat. Med. 17:857, table I, method 3."""
    assert wilson(right / n, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_by_hand():
    """5 of 10, z^2 = 3.8415: centre 0.69207 / 1.38415 = 0.5, half 1.96 sqrt(0.025 + 0.0096037) / 1.38415 = 0.2634."""
    assert wilson(0.5, 10) == (pytest.approx(0.2366, abs=5e-5), pytest.approx(0.7634, abs=5e-5))


def test_wilson_reaches_the_ends_exactly():
    assert wilson(0.0, 7)[0] == 0.0
    assert wilson(1.0, 7)[1] == 1.0


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [
        (7, 1, 18 / 256),  # 2 (C(8,0) + C(8,1)) / 2^8
        (0, 0, 1.0),
        (5, 5, 1.0),  # twice the half is capped
        (3, 0, 2 / 8),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
    ],
)
def test_mcnemar_by_hand(fixed, broken, p):
    assert mcnemar(fixed, broken) == mcnemar(broken, fixed) == p


def test_mcnemar_equals_the_enumeration_of_all_signs():
    """Of the 2^9 ways in which nine changed answers can fall, those at least as uneven as 7 : 2."""
    ways = [abs(sum(signs)) for signs in product((1, -1), repeat=9)]
    assert mcnemar(7, 2) == sum(way >= 5 for way in ways) / 2**9


def test_mcnemar_of_many_changes():
    """1,100 against 1,000: z with continuity correction = 99 / sqrt(2100) = 2.160, p = 0.0308."""
    assert mcnemar(1100, 1000) == pytest.approx(0.0308, abs=2e-4)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [((36, 12, 2, 0), 0.0569, 0.3404), ((1, 1, 7, 12), -0.507, -0.026)],
)
def test_newcombe_gives_published_values(cells, low, high):
    """Newcombe 1998, Stat. Med. 17:2635, method 10; Fagerland et al. 2014, Stat. Med. 33:2850 (airway example)."""
    assert newcombe(*cells) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def answers(both: int, fixed: int, broken: int, neither: int) -> tuple[dict, dict]:
    cells = [(True, True)] * both + [(False, True)] * fixed + [(True, False)] * broken + [(False, False)] * neither
    return {str(i): b for i, (b, _) in enumerate(cells)}, {str(i): a for i, (_, a) in enumerate(cells)}


def test_difference_by_hand():
    """Before 10 + 2 of 20 right, after 10 + 5: 0.15 more; 5 fixed against 2 broken: p = 2 (1 + 7 + 21) / 128."""
    found = difference(*answers(10, 5, 2, 3), {})
    assert (found.value, found.n, found.fixed, found.broken) == (0.15, 20, 5, 2)
    assert found.p == 58 / 128
    assert (found.low, found.high) == newcombe(10, 5, 2, 3)


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(any))
def test_difference_invariants(cells):
    before, after = answers(*cells)
    there, back = difference(before, after, {}), difference(after, before, {})
    assert -1 <= there.low <= there.value + 1e-12
    assert there.value - 1e-12 <= there.high <= 1
    assert there.value == -back.value
    assert there.p == back.p
    assert there.low == pytest.approx(-back.high, abs=1e-12)
    assert 0 < there.p <= 1


def test_difference_agrees_with_a_paired_bootstrap():
    """The 2.5 and 97.5 % points of 4,000 resamples (Efron & Tibshirani 1993) lie within 0.01 of the interval's ends."""
    cells = (150, 70, 30, 50)
    rng = random.Random(0)
    values = [1] * cells[1] + [-1] * cells[2] + [0] * (cells[0] + cells[3])
    resampled = sorted(sum(rng.choices(values, k=300)) / 300 for _ in range(4000))
    found = difference(*answers(*cells), {})
    assert found.low == pytest.approx(resampled[100], abs=0.01)
    assert found.high == pytest.approx(resampled[3899], abs=0.01)


def grouped(pattern: list[list[bool]]) -> tuple[dict[str, bool], dict[str, str]]:
    right = {f"{g}-{i}": value for g, row in enumerate(pattern) for i, value in enumerate(row)}
    return right, {id: id.split("-")[0] for id in right}


def test_groups_answered_alike_count_once():
    """30 groups of 4, each all right or all wrong: the interval is that of about 30 questions, not 120."""
    right, clusters = grouped([[g % 3 > 0] * 4 for g in range(30)])
    found = accuracy(right, clusters)
    low, high = wilson(20 / 30, 29)  # the design effect is 4 * 30 / 29
    assert (found.value, found.n) == (pytest.approx(2 / 3), 120)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_groups_of_one_change_nothing():
    right = {str(i): i % 3 > 0 for i in range(30)}
    assert accuracy(right, {id: id for id in right}) == accuracy(right, {})


def test_independent_groups_hardly_widen_the_interval():
    rng = random.Random(1)
    right, clusters = grouped([[rng.random() < 0.6 for _ in range(3)] for _ in range(400)])
    plain, with_groups = accuracy(right, {}), accuracy(right, clusters)
    assert (with_groups.high - with_groups.low) / (plain.high - plain.low) == pytest.approx(1, abs=0.08)


def test_grouped_difference_by_hand():
    """Group sums 2, 2, -1, 0, in all 2 * 2 * 2 signs: 5 3 1 -1 1 -1 -3 -5. Four of eight are at least 3 from 0."""
    assert sign_flips([2, 2, -1, 0]) == 4 / 8
    before, clusters = grouped([[False, False], [False, False], [True, False], [True, False]])
    after, _ = grouped([[True, True], [True, True], [False, False], [True, False]])
    found = difference(before, after, clusters)
    assert (found.value, found.fixed, found.broken) == (3 / 8, 4, 1)
    assert found.p == 4 / 8
    plain = difference(before, after, {})
    assert found.low < plain.low < plain.high < found.high


@given(st.integers(0, 40), st.integers(0, 40))
def test_sign_flips_of_single_answers_are_mcnemars_test(fixed, broken):
    assert sign_flips([1] * fixed + [-1] * broken + [0] * 3) == pytest.approx(mcnemar(fixed, broken))


@given(st.lists(st.integers(-6, 6), max_size=9))
def test_sign_flips_equal_the_enumeration(sums):
    ways = [
        abs(sum(sign * abs(size) for sign, size in zip(signs, sums))) for signs in product((1, -1), repeat=len(sums))
    ]
    assert sign_flips(sums) == pytest.approx(sum(way >= abs(sum(sums)) for way in ways) / len(ways))


def test_copies_of_an_answer_tell_nothing_new():
    """Four questions fixed: p = 2 / 2^4, whether each is answered once or four times the same way."""
    once = difference({str(q): False for q in range(4)}, {str(q): True for q in range(4)}, {})
    before, clusters = grouped([[False] * 4] * 4)
    after, _ = grouped([[True] * 4] * 4)
    assert difference(before, after, clusters).p == once.p == 1 / 8
    one, of_one = grouped([[True, True, False, True]])
    found = accuracy(one, of_one)
    assert (found.low, found.high) == wilson(3 / 4, 1)
    assert difference(one, dict.fromkeys(one, True), of_one).p == 1.0
