"""Questions and verdicts -> scores and comparisons, for everything and for each category and chain length."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mixpo.evaluation.metrics import Answered, Metric, change, decided, estimate
from mixpo.evaluation.statistics import Share, accuracy, difference
from mixpo.evaluation.writing import WRITING
from mixpo.records import Comparison, Outcome, Question, Response, Score, Verdict

ALL = "all"
UNKNOWN: dict[str, Any] = {"value": None, "low": None, "high": None}
STEPS = "steps "
"""How the name of a category of questions of one chain length begins."""
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
    lengths = {f"{STEPS}{length}": steps[length] for length in sorted(steps)}
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
    """Not scored is what nothing is known of: accuracy where the judge decided on no answer, a metric likewise.

    For every category accuracy and the benchmark's metrics; for all questions also the rates of answers that could
    not count ("unparsed", "truncated", "undecided", "unanswered"), how the model writes ("length", "repetition",
    "looping") and, where groups are declared, consistency: the share of them that are all right (NLVR's
    consistency, Suhr et al. 2017, section 5)."""
    questions = asked.questions
    shared, declared = clusters(questions), groups(questions)
    alike, answered = answers.spread(shared), list(answers.answered.values())
    for category, ids in categories(questions).items():
        about, mine = (section, answers, category, len(ids)), list(answers.of(ids).values())
        if not asked.open_ended:
            found = accuracy(answers.right(ids), alike) if any(map(decided, mine)) else None
            yield _score(*about, "accuracy", found)
        for metric in asked.metrics:
            yield _score(*about, metric.name, estimate(metric, mine, shared) if metric.scored(mine) else None)
    about = (section, answers, ALL, len(questions))
    outcomes = answers.outcomes
    for outcome in (None,) if asked.open_ended else (*RATES, None):
        such = {name: value is outcome for name, value in outcomes.items()}
        yield _score(*about, outcome or "unanswered", accuracy(such, alike))
    for metric in WRITING:
        yield _score(*about, metric.name, estimate(metric, answered, shared) if metric.scored(answered) else None)
    if declared and not asked.open_ended:
        right = answers.all_right(declared)
        share = accuracy(right, {name: name.rpartition("/")[0] for name in right})
        known = share if any(decided(item) for item in answers.of(declared).values()) else None
        yield _score(section, answers, ALL, len(set(declared.values())), "consistency", known)


def repeated(scores: Iterable[Score]) -> set[str]:
    """Categories `steps <n>` with the scores of one named before them: the same questions under two names."""
    by_category: dict[str, list[tuple[Any, ...]]] = {}
    for s in scores:
        by_category.setdefault(s.category, []).append((s.model, s.style, s.metric, s.n, s.value, s.low, s.high))
    names = list(by_category)
    return {
        name
        for number, name in enumerate(names)
        if name.startswith(STEPS) and any(by_category[name] == by_category[other] for other in names[:number])
    }


def _score(section: str, answers: Answers, category: str, n: int, metric: str, share: Share | None) -> Score:
    path = (section, answers.model, answers.benchmark, answers.style, category)
    return Score(
        id="/".join(path if metric == "accuracy" else (*path, str(metric))),
        model=answers.model,
        benchmark=answers.benchmark,
        style=answers.style,
        category=category,
        metric=str(metric),
        **{**(asdict(share) if share else UNKNOWN), "n": n},
    )


def comparisons(
    answers: Sequence[Answers], benchmarks: Mapping[str, BenchmarkQuestions], first: str | None = None
) -> Iterator[Comparison]:
    """Every two models under the same style, and every two styles of the same model, on each benchmark.

    The one that comes first in the recipe is `before`; with `first`, models are compared with that one alone.
    Accuracy for every category, the other metrics over all; what is not scored is compared with nothing.
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
            scored = all(any(map(decided, one.of(ids).values())) for one in (before, after))
            if scored and not asked.open_ended:
                found = difference(before.right(ids), after.right(ids), alike)
                yield Comparison(**between, category=category, **{**asdict(found), "n": len(ids)})
        answers_before, answers_after = list(before.answered.values()), list(after.answered.values())
        for metric in (*asked.metrics, *WRITING):
            if not (metric.scored(answers_before) and metric.scored(answers_after)):
                continue
            found = change(metric, answers_before, answers_after, shared)
            n = len(asked.questions)
            yield Comparison(**between, category=ALL, metric=metric.name, **{**asdict(found), "n": n})
