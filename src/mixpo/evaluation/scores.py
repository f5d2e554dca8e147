"""Questions and verdicts -> scores and comparisons, for everything and for each category and chain length."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mixpo.evaluation.metrics import Answered, Metric, change, estimate
from mixpo.evaluation.statistics import Share, accuracy, difference
from mixpo.evaluation.writing import WRITING
from mixpo.records import Comparison, Outcome, Question, Response, Score, Verdict

ALL = "all"
RATES = (Outcome.UNPARSED, Outcome.TRUNCATED, Outcome.UNDECIDED)


@dataclass(frozen=True, slots=True)
class BenchmarkQuestions:
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
    answered: Mapping[str, Answered]
    """By `<question>/<number of the answer>`, in the benchmark's order; without response and verdict where the model
    gave none."""

    @property
    def outcomes(self) -> dict[str, Outcome | None]:
        return {id: item.verdict.outcome if item.verdict else None for id, item in self.answered.items()}

    def of(self, questions: Iterable[str]) -> dict[str, Answered]:
        """The answers to these questions."""
        wanted = set(questions)
        return {id: item for id, item in self.answered.items() if item.question.id in wanted}

    def right(self, questions: Iterable[str]) -> dict[str, bool]:
        """Answer -> right. One that was not given, or could not be judged, is not."""
        return {id: item.right for id, item in self.of(questions).items()}

    def spread(self, clusters: Mapping[str, str]) -> dict[str, str]:
        """Answer -> what `clusters` says of its question."""
        return {id: clusters[item.question.id] for id, item in self.of(clusters).items()}

    def all_right(self, groups: Mapping[str, str]) -> dict[str, bool]:
        """`<group>/<number of the answer>` -> whether the answers of that number to all its questions are right."""
        found: dict[str, bool] = {}
        for id, right in self.right(groups).items():
            question, _, number = id.rpartition("/")
            name = f"{groups[question]}/{number}"
            found[name] = found.get(name, True) and right
        return found


def numbered_answers(
    questions: Sequence[Question], responses: Iterable[Response], verdicts: Iterable[Verdict], samples: int = 1
) -> dict[str, Answered]:
    """The numbered answers `<question>/0`, `/1` … to each question."""
    given = {response.id: response for response in responses}
    judged = {verdict.id: verdict for verdict in verdicts}
    asked = {f"{question.id}/{number}": question for question in questions for number in range(samples)}
    return {id: Answered(question, given.get(id), judged.get(id)) for id, question in asked.items()}


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


def scores(section: str, answers: Answers, asked: BenchmarkQuestions) -> Iterator[Score]:
    """For every category accuracy and the benchmark's metrics; for all questions also the rates of answers that could
    not count ("unparsed", "truncated", "undecided", "unanswered"), how the model writes ("length", "repetition",
    "looping") and, where groups are declared, consistency: the share of them that are all right (NLVR's
    consistency, Suhr et al. 2017, section 5)."""
    questions = asked.questions
    shared, declared = clusters(questions), groups(questions)
    alike, answered = answers.spread(shared), list(answers.answered.values())
    for category, ids in categories(questions).items():
        about = (section, answers, category, len(ids))
        if not asked.open_ended:
            yield _score(*about, "accuracy", accuracy(answers.right(ids), alike))
        for metric in asked.metrics:
            yield _score(*about, metric.name, estimate(metric, list(answers.of(ids).values()), shared))
    about = (section, answers, ALL, len(questions))
    outcomes = answers.outcomes
    for outcome in (None,) if asked.open_ended else (*RATES, None):
        found = {name: value is outcome for name, value in outcomes.items()}
        yield _score(*about, outcome or "unanswered", accuracy(found, alike))
    for metric in WRITING:
        yield _score(*about, metric.name, estimate(metric, answered, shared))
    if declared and not asked.open_ended:
        found = answers.all_right(declared)
        share = accuracy(found, {name: name.rpartition("/")[0] for name in found})
        yield _score(section, answers, ALL, len(set(declared.values())), "consistency", share)


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
    answers: Sequence[Answers], benchmarks: Mapping[str, BenchmarkQuestions], first: str | None = None
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
        answers_before, answers_after = list(before.answered.values()), list(after.answered.values())
        for metric in (*asked.metrics, *WRITING):
            found = change(metric, answers_before, answers_after, shared)
            n = len(asked.questions)
            yield Comparison(**between, category=ALL, metric=metric.name, **{**asdict(found), "n": n})
