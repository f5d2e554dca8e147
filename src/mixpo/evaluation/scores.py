"""Questions and verdicts -> scores and comparisons, for everything and for each category and chain length."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from mixpo.evaluation.statistics import Share, accuracy, consistency, difference
from mixpo.records import Comparison, Outcome, Question, Score, Verdict

ALL = "all"
RATES = (Outcome.UNPARSED, Outcome.TRUNCATED, Outcome.UNDECIDED)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model answered to one benchmark under one prompt style."""

    model: str
    benchmark: str
    style: str
    outcomes: dict[str, Outcome | None]
    """Of every question of the benchmark, in its order; None where the model gave no response."""

    def right(self, ids: Iterable[str]) -> dict[str, bool]:
        """Question id -> answered rightly. What was not answered, or could not be judged, is not right."""
        return {id: self.outcomes[id] is Outcome.CORRECT for id in ids}


def answers_of(
    questions: Sequence[Question], verdicts: Iterable[Verdict], *, model: str, benchmark: str, style: str
) -> Answers:
    judged = {verdict.question_id: verdict.outcome for verdict in verdicts}
    return Answers(model, benchmark, style, {question.id: judged.get(question.id) for question in questions})


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


def scores(section: str, answers: Answers, questions: Sequence[Question]) -> Iterator[Score]:
    """Accuracy for every category; for all questions also the rates of answers that could not count
    ("unparsed", "truncated", "undecided", "unanswered") and, where groups are declared, consistency."""
    shared, declared = clusters(questions), groups(questions)
    for category, ids in categories(questions).items():
        yield _score(section, answers, category, "accuracy", accuracy(answers.right(ids), shared))
    for outcome in (*RATES, None):
        found = {id: value is outcome for id, value in answers.outcomes.items()}
        yield _score(section, answers, ALL, outcome or "unanswered", accuracy(found, shared))
    if declared:
        yield _score(section, answers, ALL, "consistency", consistency(answers.right(declared), declared))


def _score(section: str, answers: Answers, category: str, metric: str, share: Share) -> Score:
    path = (section, answers.model, answers.benchmark, answers.style, category)
    return Score(
        id="/".join(path if metric == "accuracy" else (*path, str(metric))),
        model=answers.model,
        benchmark=answers.benchmark,
        style=answers.style,
        category=category,
        metric=str(metric),
        **asdict(share),
    )


def comparisons(answers: Sequence[Answers], questions: Mapping[str, Sequence[Question]]) -> Iterator[Comparison]:
    """Every two models under the same style, and every two styles of the same model, on each benchmark.

    The one that comes first in the recipe is `before`.
    """
    for before, after in itertools.combinations(answers, 2):
        same_model, same_style = before.model == after.model, before.style == after.style
        if before.benchmark != after.benchmark or same_model == same_style:
            continue
        asked = questions[before.benchmark]
        shared = clusters(asked)
        for category, ids in categories(asked).items():
            yield Comparison(
                benchmark=before.benchmark,
                category=category,
                before_model=before.model,
                before_style=before.style,
                after_model=after.model,
                after_style=after.style,
                **asdict(difference(before.right(ids), after.right(ids), shared)),
            )
