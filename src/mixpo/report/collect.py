"""The files of a run folder -> one plain object, `ReportData`. A step that has not run is simply absent.

Records are read one at a time; what is kept of them is counted, or a bounded number of examples. A file that is damaged
costs the part of the page that shows it, and is a sentence there.
"""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mixpo import notes
from mixpo.errors import DataError, UserError, first_line
from mixpo.files import RunFiles
from mixpo.notes import CountedQuestions, Timing
from mixpo.records import Comparison, Dropped, DropReason, Origin, Outcome, Score
from mixpo.references import Output, read_of
from mixpo.report.gallery import GalleryPair, gallery
from mixpo.report.review_summary import Summary, summaries
from mixpo.report.reviews import Reviews
from mixpo.report.warning_signs import signs
from mixpo.text_files import read_bytes

MEANINGLESS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, RecursionError)
"""What arises of values that each are what they should be, and do not belong together."""
EXAMPLES = 3
"""Dropped records shown for each reason."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    name: str
    scores: list[Score]
    comparisons: list[Comparison]


@dataclass(frozen=True, slots=True)
class Training:
    section: str
    steps: list[dict[str, float]]
    """What was logged at each optimizer step, in order: `step` and the keys of docs/design.md."""
    offered: int
    """Pairs or demonstrations in the section that was trained on."""
    finished: bool
    used: int | None = None
    """Those of them that it was begun with (`max_records`, `held_out`); None: it does not say."""


@dataclass(frozen=True, slots=True)
class Drops:
    """Records left out by one step for one reason."""

    section: str
    step: str
    reason: DropReason
    count: int
    examples: list[Dropped]


@dataclass(frozen=True, slots=True)
class SectionCost:
    """What one section took."""

    section: str
    step: str
    seconds: float
    runs: int
    """1, or more when it was interrupted or called again."""
    tokens: int
    """Tokens written by models, or trained on."""


@dataclass(frozen=True, slots=True)
class DropoutCost:
    """Tokens that one section of DropoutNTP took, each counted once."""

    pairs: int
    """Continuations that were kept."""
    responses: int
    """Tokens of the responses they belong to."""
    continuations: int
    """Tokens written after the kept parts."""
    lost: int
    """Tokens of responses and continuations that were left out."""


@dataclass(slots=True)
class ReportData:
    """Everything the page shows."""

    name: str
    recipe: str = ""
    """The resolved recipe as it was saved."""
    versions: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Section -> its resolved values, `uses` among them, in the order of the recipe."""
    questions: dict[str, int] = field(default_factory=dict)
    """Section -> number of records; the same for the next two."""
    demonstrations: dict[str, int] = field(default_factory=dict)
    responses: dict[str, int] = field(default_factory=dict)
    continuations: dict[str, int] = field(default_factory=dict)
    dropout_costs: dict[str, DropoutCost] = field(default_factory=dict)
    """Section of continuations -> what they cost."""
    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    origins: dict[str, Counter[Origin]] = field(default_factory=dict)
    """Section -> pairs of each origin."""
    paired: dict[str, int] = field(default_factory=dict)
    """Section -> questions that gave at least one pair."""
    funnels: dict[str, CountedQuestions] = field(default_factory=dict)
    """Section -> the funnel that the step `pair` wrote."""
    trainings: list[Training] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    gallery: list[GalleryPair] = field(default_factory=list)
    drops: list[Drops] = field(default_factory=list)
    costs: list[SectionCost] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    """What went wrong with the writing or the training, a sentence each."""
    people: list[Summary] = field(default_factory=list)
    """What reviewers said (`mixpo view`)."""
    damaged: dict[str, list[str]] = field(default_factory=dict)
    """Part of the page -> what could not be read of it, a sentence each."""

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What cannot be read, or made of what was read, is said in this part of the page; the others go on."""
        try:
            yield
        except UserError as error:
            self.unread(name, str(error))
        except MEANINGLESS as error:
            why = f"{type(error).__name__}: {first_line(error)}"
            self.unread(name, f"{name}: what the run's files say does not fit together ({why})")

    def unread(self, name: str, sentence: str) -> None:
        self.damaged.setdefault(name, []).append(sentence)

    def made(self, name: str, make: Callable[[], Any], otherwise: Any) -> Any:
        """What is made of the data for a part of the page."""
        with self.part(name):
            return make()
        return otherwise


def whole(data: ReportData) -> ReportData:
    """The data when all of the run could be read. Raises DataError, the first sentence, else."""
    for sentences in data.damaged.values():
        raise DataError(sentences[0])
    return data


def collect(files: RunFiles, *, pairs_shown: int = 24, seed: int = 0) -> ReportData:
    """Reads the run folder; `seed` chooses the pairs shown."""
    data = ReportData(name=files.root.name)
    with data.part("recipe"):
        resolved = files.saved_recipe()
        if os.path.lexists(files.recipe):
            data.recipe = read_bytes(files.recipe).decode()
        data.name, data.steps = str(resolved.get("name") or files.root.name), resolved.get("steps", {})
        data.versions = dict(resolved.get("versions", {}))
    tokens: Counter[str] = Counter()
    _count(data, files, tokens)
    add_trainings(data, files, _ordered(data, files, "checkpoints"), tokens)
    for section in _ordered(data, files, "evaluation"):
        inner = files.evaluation(section)
        with data.part("evaluation"):
            data.evaluations.append(evaluation_of(section, inner))
        with data.part("costs"):
            for part in inner.sections("responses"):
                tokens[section] += sum(response.completion_tokens for response in inner.responses(part))
    with data.part("pairs"):
        data.gallery = gallery(files, list(data.origins), list(data.questions), pairs_shown, seed)
    with data.part("left out"):
        data.drops = _drops(data, files)
    _add_costs(data, files, tokens)
    evaluated = [evaluation.name for evaluation in data.evaluations]
    with data.part("training"):
        data.signs = signs(files, _ordered(data, files, "checkpoints"), evaluated)
    with data.part("reviews"):
        data.people = summaries(Reviews(files.reviews).answers())
    return data


def evaluation_of(section: str, inner: RunFiles) -> Evaluation:
    """Raises DataError for files that are damaged."""
    compared = notes.read(inner.json("comparisons"), list[Comparison]) or []
    return Evaluation(section, list(inner.scores()), compared)


def _count(data: ReportData, files: RunFiles, tokens: Counter[str]) -> None:
    def questions(section: str) -> None:
        data.questions[section] = sum(1 for _ in files.questions(section))

    def demonstrations(section: str) -> None:
        data.demonstrations[section] = sum(1 for _ in files.demonstrations(section))

    def responses(section: str) -> None:
        data.responses[section] = 0
        for response in files.responses(section):
            data.responses[section] += 1
            tokens[section] += response.completion_tokens

    def continuations(section: str) -> None:
        cost = _dropout_cost(files, section)
        data.dropout_costs[section], data.continuations[section] = cost, cost.pairs
        tokens[section] += cost.continuations

    def verdicts(section: str) -> None:
        data.outcomes[section] = Counter(verdict.outcome for verdict in files.verdicts(section))

    def pairs(section: str) -> None:
        data.origins[section], asked = Counter(), set()
        for pair in files.pairs(section):
            data.origins[section][pair.origin] += 1
            asked.add(pair.question_id)
        data.paired[section] = len(asked)
        if counted := notes.read(files.json(f"funnel/{section}"), CountedQuestions):
            data.funnels[section] = counted

    for one in (questions, demonstrations, responses, continuations, verdicts, pairs):
        for section in _ordered(data, files, one.__name__):
            with data.part("funnel"):
                one(section)


def _dropout_cost(files: RunFiles, section: str) -> DropoutCost:
    pairs = responses = continuations = 0
    for continuation in files.continuations(section):
        pairs += 1
        responses += continuation.response_tokens
        continuations += continuation.completion_tokens
    return DropoutCost(pairs, responses, continuations, sum(record.tokens for record in files.dropped(section)))


def _ordered(data: ReportData, files: RunFiles, kind: str) -> list[str]:
    """The sections that wrote such records, in the order of the recipe."""
    order = {section: number for number, section in enumerate(data.steps)}
    return sorted(files.sections(kind), key=lambda section: (order.get(section, len(order)), section))


def add_trainings(data: ReportData, files: RunFiles, sections: Iterable[str], tokens: Counter[str]) -> None:
    """Those of the sections that have logged something; their tokens are counted."""
    for section in sections:
        with data.part("training"):
            training = _training(data, files, section, tokens)
            if training.steps:
                data.trainings.append(training)


def _training(data: ReportData, files: RunFiles, section: str, tokens: Counter[str]) -> Training:
    folder = files.checkpoints(section)
    steps: dict[int, dict[str, float]] = {}
    for row in notes.logged(folder / "log.jsonl", partial(data.unread, "training")):
        if math.isfinite(row.get("step", math.nan)):
            steps.setdefault(int(row["step"]), {}).update(row)
    tokens[section] += round(sum(filter(math.isfinite, (row.get("tokens", 0) for row in steps.values()))))
    values = data.steps.get(section, {})
    if demonstrations := read_of(values, Output.DEMONSTRATIONS):
        offered = data.demonstrations.get(demonstrations, 0)
    else:
        offered = data.origins.get(read_of(values, Output.PAIRS), Counter()).total()
    begun = None
    with data.part("training"):
        begun = notes.read(folder / "data.json", notes.TrainedOn)
    used = None if begun is None else begun.records
    return Training(section, [steps[step] for step in sorted(steps)], offered, (folder / "model").exists(), used)


def _drops(data: ReportData, files: RunFiles) -> list[Drops]:
    places = [(section, files) for section in _ordered(data, files, "dropped")]
    for evaluation in data.evaluations:
        inner = files.evaluation(evaluation.name)
        places += [(f"{evaluation.name}/{section}", inner) for section in inner.sections("dropped")]
    found = []
    for label, where in places:
        counts: Counter[tuple[str, DropReason]] = Counter()
        examples: dict[tuple[str, DropReason], list[Dropped]] = {}
        for record in where.dropped(label.rpartition("/")[2]):
            key = (record.step, record.reason)
            counts[key] += record.count
            if len(shown := examples.setdefault(key, [])) < EXAMPLES:
                shown.append(record)
        found += [Drops(label, *key, number, examples[key]) for key, number in counts.most_common()]
    return found


def _add_costs(data: ReportData, files: RunFiles, tokens: Counter[str]) -> None:
    for section, values in data.steps.items():
        with data.part("costs"):
            if timing := notes.read(files.json(f"timings/{section}"), Timing):
                step = str(values.get("uses", section))
                data.costs.append(SectionCost(section, step, timing.seconds, timing.runs, tokens[section]))
