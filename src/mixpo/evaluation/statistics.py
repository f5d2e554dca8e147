"""Intervals and tests for shares of right answers. Plain arithmetic, nothing drawn at random.

`right` maps an answer's id to whether it is right; `clusters` maps it to the group that it belongs to (answers
to the same question, about the same picture, to the six orders of an NLVR statement). Those of one group are
alike, so they tell less than as many independent ones: where groups hold several, intervals and tests count
groups, not answers (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640).
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The standard normal's 97.5 % point: two-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share in [0, 1] with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Number of answers."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy after minus accuracy before, answer by answer, with its 95 % interval."""

    value: float
    low: float
    high: float
    p: float
    """Probability of a difference at least as large, either way, if both were equally good."""
    n: int
    fixed: int
    """Answers wrong before and right after."""
    broken: int
    """Answers right before and wrong after."""


def accuracy(right: Mapping[str, bool], clusters: Mapping[str, str]) -> Share:
    """Share of right answers with Wilson's interval for their effective number."""
    n = len(right)
    assert n > 0, "no questions"
    value = sum(right.values()) / n
    return Share(value, *wilson(value, _effective(right, clusters)), n)


def difference(before: Mapping[str, bool], after: Mapping[str, bool], clusters: Mapping[str, str]) -> Difference:
    """How much better `after` is than `before`, answer by answer.

    Newcombe's interval for the effective number of answers; McNemar's exact test, or its like for groups
    where several answers of one changed.
    """
    assert before.keys() == after.keys(), "a paired comparison needs the same answers"
    n = len(before)
    changes = {id: after[id] - before[id] for id in before}
    fixed, broken = sum(c > 0 for c in changes.values()), sum(c < 0 for c in changes.values())
    both = sum(before[id] and after[id] for id in before)
    scale = _effective(changes, clusters) / n
    low, high = newcombe(both * scale, fixed * scale, broken * scale, (n - both - fixed - broken) * scale)
    sums = [sum(changes[id] for id in ids) for ids in _groups(changes, clusters)]
    p = mcnemar(fixed, broken) if len(sums) == n else sign_flips(sums)
    return Difference((fixed - broken) / n, low, high, p, n, fixed, broken)


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % score interval of a share seen in n trials. Wilson 1927; Newcombe 1998, Stat. Med. 17:857, method 3."""
    square = Z95 * Z95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    # At 0 and 1 the end is the share itself; rounding would leave it 1e-17 off.
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p of McNemar's test (1947): twice the smaller tail of Binomial(fixed + broken, 1/2)."""
    n, smaller = fixed + broken, min(fixed, broken)
    term = tail = 1
    for k in range(smaller):
        term = term * (n - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / 2**n)


def newcombe(both: float, fixed: float, broken: float, neither: float) -> tuple[float, float]:
    """95 % interval of (fixed - broken) / n from the four counts of paired answers.

    Wilson's intervals of the two shares, joined with their correlation: Newcombe 1998, Stat. Med. 17:2635,
    method 10. It covers better than the Wald and bootstrap intervals when few answers change.
    """
    n = both + fixed + broken + neither
    after, before = (both + fixed) / n, (both + broken) / n
    (low_after, high_after), (low_before, high_before) = wilson(after, n), wilson(before, n)
    margins = (both + fixed) * (broken + neither) * (both + broken) * (fixed + neither)
    product = both * neither - fixed * broken
    if product > 0:
        product = max(0.0, product - n / 2)
    phi = product / math.sqrt(margins) if margins else 0.0
    down, up = after - low_after, high_before - before
    low = after - before - math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))
    down, up = before - low_before, high_after - after
    high = after - before + math.sqrt(max(0.0, down * down - 2 * phi * down * up + up * up))
    return max(-1.0, low), min(1.0, high)


def sign_flips(sums: Sequence[int]) -> float:
    """Exact two-sided p from (fixed - broken) of each group: the share of all ways to swap before and after in whole
    groups in which the total is at least as far from 0. With groups of one it is McNemar's test.

    The randomisation test of paired differences (Fisher 1935, The Design of Experiments, section 21).
    """
    import numpy

    sizes = [abs(size) for size in sums if size]
    reach = sum(sizes)
    shares = numpy.zeros(2 * reach + 1)  # of the ways so far, by total, from -reach to reach
    shares[reach] = 1.0
    for size in sizes:
        shares = (numpy.roll(shares, size) + numpy.roll(shares, -size)) / 2
    far = numpy.abs(numpy.arange(-reach, reach + 1)) >= abs(sum(sums))
    return min(1.0, float(shares[far].sum()))


def _effective(values: Mapping[str, int], clusters: Mapping[str, str]) -> float:
    """The number of independent answers that would tell as much: n / design effect (Kish 1965), at most n.

    The design effect is the clustered variance of the mean (Liang & Zeger 1986) over that of independent
    answers. Where it cannot be seen (all values are equal, a single group), each group counts once.
    """
    n = len(values)
    groups = _groups(values, clusters)
    if len(groups) in (1, n):
        return len(groups)
    mean = sum(values.values()) / n
    independent = sum((value - mean) ** 2 for value in values.values())
    clustered = sum(sum(values[id] - mean for id in ids) ** 2 for ids in groups) * len(groups) / (len(groups) - 1)
    return n / max(1.0, clustered / independent) if independent else len(groups)


def _groups(ids: Mapping[str, object], clusters: Mapping[str, str]) -> list[list[str]]:
    """The answers of each group; one without a group is a group of its own."""
    members: dict[str, list[str]] = defaultdict(list)
    for id in ids:
        members[clusters.get(id, id)].append(id)
    return list(members.values())
