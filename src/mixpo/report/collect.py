"""The files of a run folder -> one plain object, `ReportData`. A step that has not run is simply absent.

Records are read one at a time; what is kept of them is counted, or a bounded number of examples.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml

from mixpo.files import RunFiles
from mixpo.records import Comparison, Dropped, DropReason, Origin, Outcome, Score
from mixpo.report.gallery import GalleryPair, gallery
from mixpo.report.review_summary import Summary, summaries
from mixpo.report.reviews import Reviews
from mixpo.report.warning_signs import signs
from mixpo.tables import json_lines
from mixpo.text_files import read_json

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
    funnels: dict[str, dict[str, Any]] = field(default_factory=dict)
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


def collect(files: RunFiles, *, pairs_shown: int = 24, seed: int = 0) -> ReportData:
    """Reads the run folder; `seed` chooses the pairs shown."""
    recipe = files.recipe.read_text(encoding="utf-8") if files.recipe.exists() else ""
    resolved = yaml.safe_load(recipe) or {}
    data = ReportData(
        name=str(resolved.get("name") or files.root.name),
        recipe=recipe,
        versions=resolved.get("versions", {}),
        steps=resolved.get("steps", {}),
    )
    tokens: Counter[str] = Counter()
    _count(data, files, tokens)
    data.trainings = [training_of(data, files, section, tokens) for section in _ordered(data, files, "checkpoints")]
    data.trainings = [training for training in data.trainings if training.steps]
    for section in _ordered(data, files, "evaluation"):
        inner = files.evaluation(section)
        rows = read_json(inner.json("comparisons")) or []
        data.evaluations.append(Evaluation(section, list(inner.scores()), [Comparison(**row) for row in rows]))
        for part in inner.sections("responses"):
            tokens[section] += sum(response.completion_tokens for response in inner.responses(part))
    data.gallery = gallery(files, list(data.origins), list(data.questions), pairs_shown, seed)
    data.drops = _drops(data, files)
    data.costs = _costs(data, files, tokens)
    evaluated = [evaluation.name for evaluation in data.evaluations]
    data.signs = signs(files, _ordered(data, files, "checkpoints"), evaluated)
    data.people = summaries(Reviews(files.reviews).answers())
    return data


def _count(data: ReportData, files: RunFiles, tokens: Counter[str]) -> None:
    for section in _ordered(data, files, "questions"):
        data.questions[section] = sum(1 for _ in files.questions(section))
    for section in _ordered(data, files, "demonstrations"):
        data.demonstrations[section] = sum(1 for _ in files.demonstrations(section))
    for section in _ordered(data, files, "responses"):
        data.responses[section] = 0
        for response in files.responses(section):
            data.responses[section] += 1
            tokens[section] += response.completion_tokens
    for section in _ordered(data, files, "continuations"):
        cost = _dropout_cost(files, section)
        data.dropout_costs[section], data.continuations[section] = cost, cost.pairs
        tokens[section] += cost.continuations
    for section in _ordered(data, files, "verdicts"):
        data.outcomes[section] = Counter(verdict.outcome for verdict in files.verdicts(section))
    for section in _ordered(data, files, "pairs"):
        data.origins[section], asked = Counter(), set()
        for pair in files.pairs(section):
            data.origins[section][pair.origin] += 1
            asked.add(pair.question_id)
        data.paired[section] = len(asked)
        if written_funnel := read_json(files.json(f"funnel/{section}")):
            data.funnels[section] = written_funnel


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


def training_of(data: ReportData, files: RunFiles, section: str, tokens: Counter[str]) -> Training:
    folder = files.checkpoints(section)
    steps: dict[int, dict[str, float]] = {}
    log = folder / "log.jsonl"
    for _, _, row in json_lines(log) if log.exists() else ():
        try:
            numbers = {key: float(value) for key, value in row.items() if isinstance(value, int | float)}
            steps.setdefault(int(row["step"]), {}).update(numbers)
        except (ValueError, KeyError, TypeError, AttributeError):
            # The line that was being written when the process was killed.
            continue
    tokens[section] += round(sum(row.get("tokens", 0) for row in steps.values()))
    values = data.steps.get(section, {})
    if values.get("demonstrations"):
        offered = data.demonstrations.get(values["demonstrations"], 0)
    else:
        offered = sum(data.origins.get(values.get("pairs", ""), Counter()).values())
    return Training(section, [steps[step] for step in sorted(steps)], offered, (folder / "model").exists())


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


def _costs(data: ReportData, files: RunFiles, tokens: Counter[str]) -> list[SectionCost]:
    costs = []
    for section, values in data.steps.items():
        timing = read_json(files.json(f"timings/{section}"))
        if timing:
            step = str(values.get("uses", section))
            costs.append(SectionCost(section, step, timing["seconds"], timing["runs"], tokens[section]))
    return costs
