"""The answers of many trainings, over seeds, to one table: accuracy, differences with intervals, and cost."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Any

from mixpo.evaluation.scores import ALL, clusters
from mixpo.files import RunFiles, read_json, read_lines, write_text
from mixpo.progress import console
from mixpo.prompts import Style
from mixpo.records import Comparison, Outcome, Question

RESAMPLES = 1000
EVALUATION = "evaluate"
NAME = "ablation"
"""`ablation.json` in the run folder."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What was trained, and under which names it lies in the run."""

    seeds: tuple[int, ...]
    variants: tuple[str, ...]
    base: str
    against: str
    """The variant that the others are compared with."""
    model: str
    sections: Mapping[tuple[str, int], str]
    """(variant, seed) -> its train section."""
    shared: tuple[str, ...]
    """Sections whose work all variants share."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval: questions and seeds resampled together, paired where it is a difference."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One variant on one benchmark under one style."""

    variant: str
    benchmark: str
    style: str
    accuracy: Estimate
    spread: float | None
    """Standard deviation over seeds; None with a single seed."""
    by_seed: tuple[float, ...]
    over_base: Estimate | None
    """None for the base itself."""
    over_against: Estimate | None
    """Minus the variant compared with; None for that itself, and for the base."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What one training took, mean over seeds; what the data took lies under `shared`."""

    variant: str
    seconds: float
    tokens: float
    flops: float
    """6 per parameter and token, 2 more with a reference model."""
    pairs: float
    """Records trained on."""


def summarise(plan: Plan, files: RunFiles) -> dict[str, Any]:
    """Writes `ablation.json` and prints its table."""
    inner = files.evaluation(EVALUATION)
    found: list[Result] = []
    for benchmark, questions in _benchmarks(inner):
        for style in Style:
            found += _results(plan, inner, benchmark, questions, style)
    content = {
        "seeds": list(plan.seeds),
        "variants": list(plan.variants),
        "base": plan.base,
        "against": plan.against,
        "results": [asdict(result) for result in found],
        "gaps": [asdict(gap) for gap in _gaps(plan, inner)],
        "others": _others(plan, inner),
        "costs": [asdict(_cost(plan, variant, files)) for variant in plan.variants],
        "shared_seconds": sum(
            (read_json(files.json(f"timings/{n}")) or {"seconds": 0})["seconds"] for n in plan.shared
        ),
    }
    write_text(files.json(NAME), json.dumps(content, indent=1) + "\n")
    _show(found)
    return content


def _results(plan: Plan, inner: RunFiles, benchmark: str, questions: list[Question], style: str) -> list[Result]:
    answers = {variant: _answers(plan, inner, variant, benchmark, questions, style) for variant in _all(plan)}
    given = {variant: matrix for variant, matrix in answers.items() if matrix is not None}
    if len(given) < len(answers):
        return []
    groups = clusters(questions)
    named = [groups[question.id] for question in questions]
    base, against = given[plan.base], given[plan.against]
    results = []
    for variant, matrix in given.items():
        means = matrix.mean(axis=1)
        results.append(
            Result(
                variant=variant,
                benchmark=benchmark,
                style=style,
                accuracy=estimate(matrix, named),
                spread=stdev(means.tolist()) if len(means) > 1 and variant != plan.base else None,
                by_seed=tuple(means.tolist()),
                over_base=None if variant == plan.base else estimate(matrix - base, named),
                over_against=None if variant in (plan.base, plan.against) else estimate(matrix - against, named),
            )
        )
    return results


def _benchmarks(inner: RunFiles) -> Iterator[tuple[str, list[Question]]]:
    """The benchmarks with ground truths, and their questions."""
    for benchmark in inner.sections("questions"):
        questions = [question for question in inner.questions(benchmark) if question.answer is not None]
        if questions:
            yield benchmark, questions


def _others(plan: Plan, inner: RunFiles) -> list[dict[str, Any]]:
    """Scores that are not accuracy (hallucination, true steps), mean over seeds; the differences to the base with
    their intervals, one for each seed."""
    compared = [Comparison(**row) for row in read_json(inner.json("comparisons")) or []]
    over_base = {
        (c.after_model, c.benchmark, c.after_style, c.metric): [c.value, c.low, c.high]
        for c in compared
        if c.category == ALL and c.before_model == plan.base and c.before_style == c.after_style
    }
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for score in inner.scores():
        if score.category != ALL or score.metric == "accuracy":
            continue
        variants = [v for v in plan.variants if score.model in (plan.sections[v, seed] for seed in plan.seeds)]
        about = (score.benchmark, score.style, score.metric, variants[0] if variants else score.model)
        row = rows.setdefault(about, {"by_seed": [], "over_base": []})
        row["by_seed"].append(score.value)
        if change := over_base.get((score.model, *about[:3])):
            row["over_base"].append(change)
    names = ("benchmark", "style", "metric", "variant")
    return [
        {**dict(zip(names, about)), "value": sum(row["by_seed"]) / len(row["by_seed"]), **row}
        for about, row in rows.items()
    ]


def _gaps(plan: Plan, inner: RunFiles) -> list[Result]:
    """Chain of thought minus direct answer of every variant, as `accuracy` of the style "cot-direct"."""
    gaps = []
    for benchmark, questions in _benchmarks(inner):
        groups = clusters(questions)
        named = [groups[question.id] for question in questions]
        for variant in _all(plan):
            cot, direct = (
                _answers(plan, inner, variant, benchmark, questions, style) for style in (Style.COT, Style.DIRECT)
            )
            if cot is not None and direct is not None:
                gap = (cot - direct).mean(axis=1)
                gaps.append(
                    Result(
                        variant=variant,
                        benchmark=benchmark,
                        style="cot-direct",
                        accuracy=estimate(cot - direct, named),
                        spread=None,
                        by_seed=tuple(gap.tolist()),
                        over_base=None,
                        over_against=None,
                    )
                )
    return gaps


def _all(plan: Plan) -> tuple[str, ...]:
    return (plan.base, *plan.variants)


def _answers(
    plan: Plan, inner: RunFiles, variant: str, benchmark: str, questions: list[Question], style: str
) -> Any | None:
    """1 for a right answer, (seeds, questions); the base model's row stands once for every seed. None: not asked."""
    import numpy

    rows = []
    for seed in plan.seeds:
        model = plan.base if variant == plan.base else plan.sections[variant, seed]
        verdicts = inner.verdicts(f"{model}-{benchmark}-{style}")
        if not verdicts.paths():
            return None
        right = {verdict.question_id for verdict in verdicts if verdict.outcome is Outcome.CORRECT}
        rows.append([float(question.id in right) for question in questions])
    return numpy.array(rows)


def estimate(values: Any, groups: list[str]) -> Estimate:
    """The mean of a (seeds, questions) table and its interval: seeds and groups of questions drawn with replacement,
    independently of each other (the pigeonhole bootstrap, Owen 2007, Ann. Appl. Stat. 1:386, which errs wide)."""
    import numpy

    rng = numpy.random.default_rng(0)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    place = numpy.array([numbers[group] for group in groups])
    sums = numpy.zeros((values.shape[0], len(numbers)))
    for seed, row in enumerate(values):
        numpy.add.at(sums[seed], place, row)
    sizes = numpy.bincount(place, minlength=len(numbers))
    drawn = []
    for _ in range(RESAMPLES):
        weights = numpy.bincount(rng.integers(0, len(numbers), len(numbers)), minlength=len(numbers))
        chosen = rng.integers(0, len(values), len(values))
        drawn.append(float((sums[chosen] @ weights).mean() / (sizes @ weights)))
    low, high = numpy.quantile(drawn, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high))


def _cost(plan: Plan, variant: str, files: RunFiles) -> Cost:
    totals = dict.fromkeys(("seconds", "tokens", "flops", "pairs"), 0.0)
    for seed in plan.seeds:
        section = plan.sections[variant, seed]
        totals["seconds"] += (read_json(files.json(f"timings/{section}")) or {"seconds": 0.0})["seconds"]
        for line in read_lines(files.checkpoints(section) / "log.jsonl"):
            row = json.loads(line)
            totals["tokens"] += row.get("tokens", 0.0)
            totals["flops"] += row.get("total_flos", 0.0)
        totals["pairs"] += (read_json(files.checkpoints(section) / "data.json") or {}).get("records", 0)
    return Cost(variant=variant, **{key: value / len(plan.seeds) for key, value in totals.items()})


def _show(results: list[Result]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(title="ablation: accuracy, % (95 % interval)", title_justify="left", box=box.SIMPLE_HEAD)
    for head in ("benchmark", "prompt", "variant", "accuracy", "sd", "minus base", "minus compared"):
        table.add_column(head, justify="left" if head in ("benchmark", "prompt", "variant") else "right")
    for result in results:
        spread = "" if result.spread is None else f"{100 * result.spread:.1f}"
        cells = [text(result.accuracy), spread, text(result.over_base, sign=True), text(result.over_against, sign=True)]
        table.add_row(result.benchmark, result.style, result.variant, *cells)
    console().print(table)


def text(found: Estimate | None, *, sign: bool = False) -> str:
    """`61.7 (52.7 to 69.9)`."""
    if found is None:
        return ""
    plus = "+" if sign else ""
    return f"{100 * found.value:{plus}.1f} ({100 * found.low:{plus}.1f} to {100 * found.high:{plus}.1f})"
