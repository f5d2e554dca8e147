"""The answers of many trainings, over seeds, to one table: accuracy, differences with intervals, and cost."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import stdev
from typing import Any

from mixpo import notes, output
from mixpo.evaluation.metrics import NOT_SCORED, Answered, Metric, decided, mean, resampled, sums_of, with_interval
from mixpo.evaluation.scores import RATES, Answers, BenchmarkQuestions, clusters
from mixpo.evaluation.writing import WRITING
from mixpo.files import RunFiles
from mixpo.output import TextTable
from mixpo.prompts import Style
from mixpo.records import Outcome
from mixpo.text_files import write_text

NAME = "ablation"
"""`ablation.json` in the run folder."""
GAP = "cot-direct"
"""The style of what chains of thought get right more often than direct answers."""
ACCURACY = mean("accuracy", lambda answered: float(answered.right), decided)


def _share(outcome: Outcome) -> Metric:
    def such(answered: Answered) -> float:
        return float(answered.verdict is not None and answered.verdict.outcome is outcome)

    return mean(outcome, such, lambda answered: True)


JUDGED = (ACCURACY, *map(_share, RATES))
"""Scores of benchmarks that have ground truths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What was trained, and under which names it lies in the run."""

    seeds: tuple[int, ...]
    variants: tuple[str, ...]
    base: str
    against: str
    """The variant that the others are compared with."""
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


@dataclass(frozen=True, slots=True)
class Scored:
    """A score of each seed's training, and the same in every resample of the questions."""

    values: Any
    """(seeds,)"""
    drawn: Any
    """(resamples, seeds)"""

    def minus(self, other: "Scored") -> "Scored":
        return Scored(self.values - other.values, self.drawn - other.drawn)

    def estimate(self) -> Estimate:
        """The mean over seeds; groups of questions and seeds are drawn with replacement, independently of each other
        (the pigeonhole bootstrap, Owen 2007, Ann. Appl. Stat. 1:386, which errs wide)."""
        import numpy

        chosen = numpy.random.default_rng(1).integers(0, len(self.values), self.drawn.shape)
        means = numpy.take_along_axis(self.drawn, chosen, axis=1).mean(axis=1)
        low, high = numpy.quantile(means, (0.025, 0.975))
        return Estimate(float(self.values.mean()), float(low), float(high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One score of one variant on one benchmark under one style (or that of chains of thought minus direct answers)."""

    variant: str
    benchmark: str
    style: str
    metric: str
    value: Estimate | None
    """None: not scored, since nothing says of any answer how good it is."""
    spread: float | None
    """Standard deviation over seeds; None with a single seed."""
    by_seed: tuple[float, ...]
    over_base: Estimate | None
    """None for the base itself."""
    over_against: Estimate | None
    """Minus the variant compared with; None for that itself, and for the base."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingCost:
    """What one training took, mean over seeds; what the data took lies under `shared`."""

    variant: str
    seconds: float
    tokens: float
    flops: float
    """6 per parameter and token, 2 more with a reference model."""
    pairs: float
    """Records trained on."""


def summarise(
    plan: Plan, files: RunFiles, benchmarks: Mapping[str, BenchmarkQuestions], answers: Iterable[Answers]
) -> dict[str, Any]:
    """Writes `ablation.json` and prints its accuracies. `answers`: those of every model of the plan."""
    found = list(results(plan, benchmarks, answers))
    content = {
        "seeds": list(plan.seeds),
        "variants": list(plan.variants),
        "base": plan.base,
        "against": plan.against,
        "results": [asdict(result) for result in found],
        "costs": [asdict(_cost(plan, variant, files)) for variant in plan.variants],
        "shared_seconds": sum(
            (notes.read(files.json(f"timings/{name}"), notes.Timing) or notes.Timing()).seconds for name in plan.shared
        ),
    }
    write_text(files.json(NAME), json.dumps(content, indent=1) + "\n")
    shown = [result for result in found if result.metric == ACCURACY.name and result.style != GAP]
    output.show({NAME: {**content, "folder": files.root}}, [_table(shown)])
    return content


ORDER = {str(style): number for number, style in enumerate(Style)}
"""Of styles in a table; a recipe's own prompts come last."""


def results(plan: Plan, benchmarks: Mapping[str, BenchmarkQuestions], answers: Iterable[Answers]) -> Iterator[Result]:
    """For every benchmark and style accuracy, then its gap between the styles, then all other scores."""
    given = list(answers)
    for name, asked in benchmarks.items():
        named = dict.fromkeys(one.style for one in given if one.benchmark == name)
        styles = sorted(named, key=lambda style: ORDER.get(style, len(ORDER)))
        accurate: dict[str, dict[str, Scored | None]] = {}
        shared = clusters(asked.questions)
        for style in styles:
            mine = {one.model: one for one in given if (one.benchmark, one.style) == (name, style)}
            for metric in (*(() if asked.open_ended else JUDGED), *asked.metrics, *WRITING):
                found = {v: _scored(metric, plan, v, mine, shared) for v in (plan.base, *plan.variants)}
                if metric is ACCURACY:
                    accurate[style] = found
                yield from _compared(plan, found, benchmark=name, style=style, metric=metric.name)
        if Style.COT in accurate and Style.DIRECT in accurate:
            gaps = {v: _minus(cot, accurate[Style.DIRECT][v]) for v, cot in accurate[Style.COT].items()}
            yield from _compared(plan, gaps, benchmark=name, style=GAP, metric=ACCURACY.name)


def _scored(
    metric: Metric, plan: Plan, variant: str, given: Mapping[str, Answers], shared: Mapping[str, str]
) -> Scored | None:
    """`given`: by model. The base model's answers stand once for every seed. None: not scored."""
    models = [plan.base if variant == plan.base else plan.sections[variant, seed] for seed in plan.seeds]
    counted = {model: list(given[model].answered.values()) for model in models}
    if not all(metric.scored(answered) for answered in counted.values()):
        return None
    sums = {model: sums_of(metric, answered, shared) for model, answered in counted.items()}
    return scored(metric, [sums[model] for model in models])


def scored(metric: Metric, sums: Sequence[Any]) -> Scored:
    """From what each group of questions adds in the answers of each seed's model, (groups, sums) a seed."""
    import numpy

    def values(totals: Any) -> list[float]:
        return [metric.value(own) for own in totals.reshape(len(sums), -1)]

    together = numpy.hstack(sums)
    drawn = [values(totals) for chunk in resampled(together) for totals in chunk]
    return Scored(numpy.array(values(together.sum(axis=0))), numpy.array(drawn))


def _minus(one: Scored | None, other: Scored | None) -> Scored | None:
    return None if one is None or other is None else one.minus(other)


def _estimate(found: Scored | None) -> Estimate | None:
    return None if found is None else found.estimate()


def _compared(plan: Plan, found: Mapping[str, Scored | None], **about: str) -> Iterator[Result]:
    base, against = found[plan.base], found[plan.against]
    for variant, own in found.items():
        trained = variant != plan.base
        by_seed = [] if own is None else own.values.tolist()
        yield Result(
            **about,
            variant=variant,
            value=_estimate(own),
            spread=stdev(by_seed) if trained and len(by_seed) > 1 else None,
            by_seed=tuple(by_seed),
            over_base=_estimate(_minus(own, base)) if trained else None,
            over_against=_estimate(_minus(own, against)) if trained and variant != plan.against else None,
        )


def _cost(plan: Plan, variant: str, files: RunFiles) -> TrainingCost:
    totals = dict.fromkeys(("seconds", "tokens", "flops", "pairs"), 0.0)
    for seed in plan.seeds:
        section = plan.sections[variant, seed]
        totals["seconds"] += (notes.read(files.json(f"timings/{section}"), notes.Timing) or notes.Timing()).seconds
        for row in notes.logged(files.checkpoints(section) / "log.jsonl"):
            totals["tokens"] += row.get("tokens", 0.0)
            totals["flops"] += row.get("total_flos", 0.0)
        begun = notes.read(files.checkpoints(section) / "data.json", notes.TrainedOn)
        totals["pairs"] += begun.records if begun else 0
    return TrainingCost(variant=variant, **{key: value / len(plan.seeds) for key, value in totals.items()})


def _table(results: list[Result]) -> TextTable:
    rows = []
    for result in results:
        spread = "" if result.spread is None else f"{100 * result.spread:.1f}"
        cells = [text(result.value) or NOT_SCORED, spread]
        cells += [text(found, sign=True) for found in (result.over_base, result.over_against)]
        rows.append((result.benchmark, result.style, result.variant, *cells))
    heads = ("benchmark", "prompt", "variant", "accuracy", "sd", "minus base", "minus compared")
    return TextTable("ablation: accuracy, % (95 % interval)", heads, rows, text=3)


def text(found: Estimate | None, *, sign: bool = False) -> str:
    """`61.7 (52.7 to 69.9)`."""
    if found is None:
        return ""
    return with_interval(found.value, found.low, found.high, sign="+" if sign else "")
