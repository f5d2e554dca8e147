"""Questions and verdicts -> scores and comparisons, for everything and for each category and chain length."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mixpo.evaluation.metrics import Answered, Metric, change, estimate
from mixpo.evaluation.statistics import Share, accuracy, consistency, difference
from mixpo.evaluation.writing import WRITING
from mixpo.records import Comparison, Outcome, Question, Response, Score, Verdict

ALL = "all"
RATES = (Outcome.UNPARSED, Outcome.TRUNCATED, Outcome.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of one benchmark, and what they are scored by besides accuracy."""

    questions: Sequence[Question]
    metrics: Sequence[Metric] = ()
    open_ended: bool = False
    """Whether they have no ground truth, so that accuracy says nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answered to one benchmark under one prompt style."""

    model: str
    benchmark: str
    style: str
    answered: Mapping[str, tuple[Answered, ...]]
    """By question id, in the benchmark's order: as many answers as were asked for, without response or verdict where
    the model gave none."""

    @property
    def outcomes(self) -> dict[str, Outcome | None]:
        named = self._named(self.answered)
        return {name: item.verdict.outcome if item.verdict else None for name, item in named.items()}

    def right(self, ids: Iterable[str]) -> dict[str, bool]:
        """Answer -> right, for all answers to these questions. One not given, or not to be judged, is not."""
        return {name: item.right for name, item in self._named(ids).items()}

    def of(self, ids: Iterable[str]) -> list[Answered]:
        return list(self._named(ids).values())

    def spread(self, clusters: Mapping[str, str]) -> dict[str, str]:
        """Answer -> what `clusters` says of its question."""
        return {name: clusters[item.question.id] for name, item in self._named(clusters).items()}

    def _named(self, ids: Iterable[str]) -> dict[str, Answered]:
        """`<question>/<number>` -> the answer."""
        return {f"{id}/{number}": item for id in ids for number, item in enumerate(self.answered[id])}


def answers_of(
    questions: Sequence[Question],
    responses: Iterable[Response],
    verdicts: Iterable[Verdict],
    *,
    model: str,
    benchmark: str,
    style: str,
    samples: int = 1,
) -> Answers:
    """The numbered answers `<question>/0`, `/1` … to each question."""
    given = {response.id: response for response in responses}
    judged = {verdict.id: verdict for verdict in verdicts}
    answered = {
        q.id: tuple(Answered(q, given.get(id), judged.get(id)) for id in (f"{q.id}/{k}" for k in range(samples)))
        for q in questions
    }
    return Answers(model, benchmark, style, answered)


def categories(questions: Sequence[Question]) -> dict[str, list[str]]:
    """ "all", every category, and `steps <n>` for every chain length: the ids of their questions."""
    named: dict[str, list[str]] = {}
    steps: dict[int, list[str]] = {}
    for question in questions:
        if question.category:
            named.setdefault(question.category, []).append(question.id)
        if isinstance(length := question.meta.get("steps"), int):
            steps.setdefault(length, []).append(question.id)
    lengths = {f"steps {length}": steps[length] for length in sorted(steps)}
    return {ALL: [question.id for question in questions], **dict(sorted(named.items())), **lengths}


def groups(questions: Iterable[Question]) -> dict[str, str]:
    """Question id -> the declared group it belongs to (`meta["group"]`); the others are left out."""
    return {question.id: str(question.meta["group"]) for question in questions if "group" in question.meta}


def clusters(questions: Iterable[Question]) -> dict[str, str]:
    """Question id -> what it shares with others: its declared group, else its images, else nothing but itself."""
    return {
        question.id: str(question.meta.get("group") or " ".join(question.images) or question.id)
        for question in questions
    }


def scores(section: str, answers: Answers, asked: Asked) -> Iterator[Score]:
    """For every category accuracy and the benchmark's metrics; for all questions also the rates of answers that could
    not count ("unparsed", "truncated", "undecided", "unanswered"), how the model writes ("length", "repetition",
    "looping") and, where groups are declared and each question has one answer, consistency."""
    questions = asked.questions
    shared, declared = clusters(questions), groups(questions)
    alike, answered = answers.spread(shared), answers.of(answers.answered)
    for category, ids in categories(questions).items():
        about = (section, answers, category, len(ids))
        if not asked.open_ended:
            yield _score(*about, "accuracy", accuracy(answers.right(ids), alike))
        for metric in asked.metrics:
            yield _score(*about, metric.name, estimate(metric, answers.of(ids), shared))
    about = (section, answers, ALL, len(questions))
    outcomes = answers.outcomes
    for outcome in (None,) if asked.open_ended else (*RATES, None):
        found = {name: value is outcome for name, value in outcomes.items()}
        yield _score(*about, outcome or "unanswered", accuracy(found, alike))
    for metric in WRITING:
        yield _score(*about, metric.name, estimate(metric, answered, shared))
    if declared and not asked.open_ended and len(answered) == len(questions):
        by_group = consistency(answers.right(declared), answers.spread(declared))
        yield _score(section, answers, ALL, by_group.n, "consistency", by_group)


def _score(section: str, answers: Answers, category: str, n: int, metric: str, share: Share) -> Score:
    path = (section, answers.model, answers.benchmark, answers.style, category)
    return Score(
        id="/".join(path if metric == "accuracy" else (*path, str(metric))),
        model=answers.model,
        benchmark=answers.benchmark,
        style=answers.style,
        category=category,
        metric=str(metric),
        **{**asdict(share), "n": n},
    )


def comparisons(
    answers: Sequence[Answers], benchmarks: Mapping[str, Asked], first: str | None = None
) -> Iterator[Comparison]:
    """Every two models under the same style, and every two styles of the same model, on each benchmark.

    The one that comes first in the recipe is `before`; with `first`, models are compared with that one alone.
    Accuracy for every category, the other metrics over all.
    """
    for before, after in itertools.combinations(answers, 2):
        same_model, same_style = before.model == after.model, before.style == after.style
        if before.benchmark != after.benchmark or same_model == same_style:
            continue
        if first is not None and not same_model and before.model != first:
            continue
        asked = benchmarks[before.benchmark]
        shared = clusters(asked.questions)
        alike = before.spread(shared)
        between: dict[str, Any] = {
            "benchmark": before.benchmark, "before_model": before.model, "before_style": before.style,
            "after_model": after.model, "after_style": after.style,
        }  # fmt: skip
        for category, ids in categories(asked.questions).items():
            if not asked.open_ended:
                found = difference(before.right(ids), after.right(ids), alike)
                yield Comparison(**between, category=category, **{**asdict(found), "n": len(ids)})
        ids = list(before.answered)
        for metric in (*asked.metrics, *WRITING):
            found = change(metric, before.of(ids), after.of(ids), shared)
            yield Comparison(**between, category=ALL, metric=metric.name, **{**asdict(found), "n": len(ids)})
