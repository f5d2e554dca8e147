"""Intervals and tests for shares of right answers. Plain arithmetic, nothing drawn at random.

`right` maps a question's id to whether the model answered it rightly; `clusters` maps it to the group of
questions that it belongs to (the same picture, the six orders of an NLVR statement). Questions of one
group are answered alike, so they tell less than as many independent ones: where groups hold several,
intervals and tests count groups, not questions (Miller 2024, "Adding Error Bars to Evals", arXiv 2411.00640).
"""

import math
from collections import defaultdict
from collections.abc import Mapping
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
    """Number of questions, or of groups for consistency."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Accuracy after minus accuracy before on the same questions, with its 95 % interval."""

    value: float
    low: float
    high: float
    p: float
    """Probability of a difference at least as large, either way, if both were equally good."""
    n: int
    fixed: int
    """Questions wrong before and right after."""
    broken: int
    """Questions right before and wrong after."""


def accuracy(right: Mapping[str, bool], clusters: Mapping[str, str]) -> Share:
    """Share of right answers with Wilson's interval for the effective number of questions."""
    n = len(right)
    assert n > 0, "no questions"
    value = sum(right.values()) / n
    return Share(value, *wilson(value, _effective(right, clusters)), n)


def consistency(right: Mapping[str, bool], groups: Mapping[str, str]) -> Share:
    """Share of groups whose members are all right (NLVR's consistency, Suhr et al. 2017, section 5)."""
    results = [all(right[id] for id in ids) for ids in _groups(right, groups)]
    value = sum(results) / len(results)
    return Share(value, *wilson(value, len(results)), len(results))


def difference(before: Mapping[str, bool], after: Mapping[str, bool], clusters: Mapping[str, str]) -> Difference:
    """How much better `after` is than `before` on the same questions.

    Newcombe's interval for the effective number of questions; McNemar's exact test, or where groups hold
    several questions the clustered one.
    """
    assert before.keys() == after.keys(), "a paired comparison needs the same questions"
    n = len(before)
    changes = {id: after[id] - before[id] for id in before}
    fixed, broken = sum(c > 0 for c in changes.values()), sum(c < 0 for c in changes.values())
    both = sum(before[id] and after[id] for id in before)
    scale = _effective(changes, clusters) / n
    low, high = newcombe(both * scale, fixed * scale, broken * scale, (n - both - fixed - broken) * scale)
    sums = [sum(changes[id] for id in ids) for ids in _groups(changes, clusters)]
    p = clustered_mcnemar(sums) if 1 < len(sums) < n else mcnemar(fixed, broken)
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


def clustered_mcnemar(sums: list[int]) -> float:
    """Two-sided p from (fixed - broken) of each group: chi-squared = (sum)^2 / sum of squares, 1 degree of freedom.

    Durkalski et al. 2003, Stat. Med. 22:2417; with groups of one it is McNemar's asymptotic test.
    """
    squares = sum(s * s for s in sums)
    return math.erfc(math.sqrt(sum(sums) ** 2 / (2 * squares))) if squares else 1.0


def _effective(values: Mapping[str, int], clusters: Mapping[str, str]) -> float:
    """The number of independent questions that would tell as much: n / design effect (Kish 1965), at most n.

    The design effect is the clustered variance of the mean (Liang & Zeger 1986) over that of independent
    questions. Where all values are equal it cannot be seen, and each group counts once.
    """
    n = len(values)
    groups = _groups(values, clusters)
    if not 1 < len(groups) < n:
        return n
    mean = sum(values.values()) / n
    independent = sum((value - mean) ** 2 for value in values.values())
    clustered = sum(sum(values[id] - mean for id in ids) ** 2 for ids in groups) * len(groups) / (len(groups) - 1)
    return n / max(1.0, clustered / independent) if independent else len(groups)


def _groups(ids: Mapping[str, object], clusters: Mapping[str, str]) -> list[list[str]]:
    """The questions of each group; one without a group is a group of its own."""
    members: dict[str, list[str]] = defaultdict(list)
    for id in ids:
        members[clusters.get(id, id)].append(id)
    return list(members.values())
