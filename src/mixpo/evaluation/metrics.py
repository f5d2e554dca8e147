"""Scores that are no share of right answers: sums over questions, a value from the sums, resampled intervals.

Precision, ANLS, the mean of a judge's scores: each is a function of sums that every question adds to, so one
bootstrap over groups of questions serves them all (Efron & Tibshirani 1993, chapter 13: the percentile
interval). Two sets of answers are compared on the same resamples: the paired bootstrap.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixpo.evaluation.statistics import Difference, Share
from mixpo.records import Outcome, Question, Response, Verdict

RESAMPLES = 1000
SEED = 0
"""The resamples are the same every time: the same answers give the same interval."""
CHUNK = 100
"""Resamples weighed at once: a row holds a number for every group."""
NOT_SCORED = "not scored"
"""How a score reads that is None."""
UNITS = {"length", "rating"}
"""Metrics that are no share."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer to a question."""

    question: Question
    response: Response | None
    """None: the model gave none."""
    verdict: Verdict | None

    @property
    def right(self) -> bool:
        return self.verdict is not None and self.verdict.outcome is Outcome.CORRECT


def given(answered: Answered) -> bool:
    """Whether the model answered at all."""
    return answered.response is not None


def decided(answered: Answered) -> bool:
    """Whether the judge said how good the answer is."""
    return answered.verdict is not None and answered.verdict.outcome is not Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class Metric:
    """A score in terms of sums."""

    name: str
    count: Callable[[Answered], tuple[float, ...]]
    """What one answer adds to the sums."""
    value: Callable[[Sequence[float]], float]
    """The score that sums give; sums of nothing give 0."""
    known: Callable[[Answered], bool] = given
    """Whether anything can be said of an answer; where that holds of none, there is no score."""

    def scored(self, answered: Iterable[Answered]) -> bool:
        """Whether these answers have a score."""
        return any(map(self.known, answered))


def scaled(metric: str) -> tuple[int, int]:
    """By what a score is multiplied to be read (shares as %), and its decimals."""
    return (1, 2) if metric in UNITS else (100, 1)


def with_interval(value: float, low: float, high: float, metric: str = "accuracy", sign: str = "") -> str:
    """`61.7 (52.7 to 69.9)`, in the metric's unit; `sign`: "+" for a difference. Nothing is -0.0."""
    scale, digits = scaled(metric)
    shown, *ends = (f"{scale * number:{sign}z.{digits}f}" for number in (value, low, high))
    return f"{shown} ({' to '.join(ends)})"


def mean(name: str, of: Callable[[Answered], float], known: Callable[[Answered], bool] = given) -> Metric:
    """The mean over answers."""
    return Metric(name, lambda answered: (of(answered), 1.0), lambda sums: ratio(sums[0], sums[1]), known)


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def estimate(metric: Metric, answered: Sequence[Answered], clusters: Mapping[str, str]) -> Share:
    """The score with its 95 % bootstrap interval over groups of questions."""
    sums = sums_of(metric, answered, clusters)
    values = [metric.value(totals) for chunk in resampled(sums) for totals in chunk]
    return Share(metric.value(sums.sum(axis=0)), *_ends(values), len(answered))


def change(
    metric: Metric, before: Sequence[Answered], after: Sequence[Answered], clusters: Mapping[str, str]
) -> Difference:
    """After minus before on the same questions, by the paired bootstrap; p is twice the share of resamples in which
    the sign is the other one, the sample itself counted as one such (Davison & Hinkley 1997, section 4.2)."""
    assert [a.question.id for a in before] == [a.question.id for a in after], "a paired comparison: same questions"
    import numpy

    both = numpy.hstack([sums_of(metric, before, clusters), sums_of(metric, after, clusters)])
    width = both.shape[1] // 2
    values = [
        metric.value(totals[width:]) - metric.value(totals[:width]) for chunk in resampled(both) for totals in chunk
    ]
    sums = both.sum(axis=0)
    value = metric.value(sums[width:]) - metric.value(sums[:width])
    other = sum(v <= 0 for v in values) if value > 0 else sum(v >= 0 for v in values)
    p = 1.0 if value == 0 else min(1.0, 2 * (other + 1) / (len(values) + 1))
    return Difference(value, *_ends(values), p, len(before), 0, 0)


def sums_of(metric: Metric, answered: Sequence[Answered], clusters: Mapping[str, str]) -> Any:
    """What each group of questions adds, (groups, sums). Groups are in the order of their first question."""
    import numpy

    assert answered, "no questions"
    rows: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for item in answered:
        rows[clusters.get(item.question.id, item.question.id)].append(metric.count(item))
    return numpy.array([numpy.sum(group, axis=0) for group in rows.values()], dtype=numpy.float64)


def resampled(sums: Any) -> Any:
    """Sums of as many groups drawn with replacement, (CHUNK, sums) at a time; the same draws for as many groups."""
    import numpy

    rng = numpy.random.default_rng(SEED)
    groups = len(sums)
    for _ in range(RESAMPLES // CHUNK):
        drawn = rng.integers(0, groups, size=(CHUNK, groups))
        weights = numpy.stack([numpy.bincount(row, minlength=groups) for row in drawn])
        yield weights @ sums


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5 % and 97.5 % points."""
    import numpy

    low, high = numpy.quantile(numpy.asarray(values, dtype=numpy.float64), (0.025, 0.975))
    return float(low), float(high)
