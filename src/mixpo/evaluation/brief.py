"""What the terminal shows of an evaluation: for each benchmark one small table. All else is in the report."""

from collections.abc import Sequence
from typing import Any

from mixpo.evaluation.scores import ALL
from mixpo.evaluation.table import USUAL, accuracies, metrics, probability, says
from mixpo.progress import console, say
from mixpo.records import Comparison, Score


def brief(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> None:
    """The accuracies of models under prompt styles, with what the later models have over the first and its p; of a
    benchmark without accuracies, the scores that it declares."""
    for benchmark in dict.fromkeys(score.benchmark for score in scores):
        mine = [score for score in scores if score.benchmark == benchmark]
        first = mine[0].model
        gains = [
            c for c in comparisons
            if (c.benchmark, c.category, c.metric, c.before_model) == (benchmark, ALL, "accuracy", first)
            and c.before_style == c.after_style
        ]  # fmt: skip
        if any(score.metric == "accuracy" for score in mine):
            console().print(_with_gains(accuracies(mine), mine, gains))
            continue
        own = [name for name in dict.fromkeys(score.metric for score in mine) if name not in USUAL]
        console().print(metrics(mine, own, f"{benchmark}: scores, % (95 % interval)"))
    say("Categories, lengths of answers and other differences are in the report (`mixpo report`).")


def _with_gains(table: Any, scores: Sequence[Score], gains: Sequence[Comparison]) -> Any:
    styles = list(dict.fromkeys(score.style for score in scores if score.metric == "accuracy"))
    by_place = {(gain.after_model, gain.after_style): gain for gain in gains}
    for model in dict.fromkeys(gain.after_model for gain in gains):
        mine = [by_place.get((model, style)) for style in styles]
        table.add_row(f"{model} - {gains[0].before_model}", *(says(gain) if gain else "" for gain in mine))
        table.add_row("  p", *(probability(gain) if gain else "" for gain in mine))
    return table
