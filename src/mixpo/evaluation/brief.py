"""What the terminal shows of an evaluation: for each benchmark one small table. All else is in the report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixpo.evaluation import table
from mixpo.evaluation.scores import ALL
from mixpo.evaluation.table import USUAL, accuracies, metrics, probability, says
from mixpo.output import TextTable
from mixpo.progress import say
from mixpo.records import Comparison, Score


def brief(
    name: str,
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    warnings: Sequence[Mapping[str, Any]],
    folder: Path | None = None,
) -> None:
    """As `table.show`, with `tables` of this module."""
    table.show(name, scores, comparisons, warnings, folder, tables(scores, comparisons))
    say("Categories, lengths of answers and other differences are in the report (`mixpo report`).")


def tables(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> Iterator[TextTable]:
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
            yield _with_gains(accuracies(mine), mine, gains)
            continue
        own = [name for name in dict.fromkeys(score.metric for score in mine) if name not in USUAL]
        yield metrics(mine, own, f"{benchmark}: scores, % (95 % interval)")


def _with_gains(shown: TextTable, scores: Sequence[Score], gains: Sequence[Comparison]) -> TextTable:
    styles = list(dict.fromkeys(score.style for score in scores if score.metric == "accuracy"))
    by_place = {(gain.after_model, gain.after_style): gain for gain in gains}
    rows = list(shown.rows)
    more = [""] * (len(shown.heads) - 1 - len(styles))
    for model in dict.fromkeys(gain.after_model for gain in gains):
        mine = [by_place.get((model, style)) for style in styles]
        rows.append((f"{model} - {gains[0].before_model}", *(says(gain) if gain else "" for gain in mine), *more))
        rows.append(("  p", *(probability(gain) if gain else "" for gain in mine), *more))
    return replace(shown, rows=rows)
