"""Scores and comparisons as tables in the terminal."""

from collections.abc import Sequence
from typing import Any

from mixpo.evaluation.scores import ALL
from mixpo.progress import console
from mixpo.records import Comparison, Score


def show(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> None:
    """For each benchmark the accuracies, models against styles, then the differences."""
    for benchmark in dict.fromkeys(score.benchmark for score in scores):
        console().print(accuracies([score for score in scores if score.benchmark == benchmark]))
        changes = [c for c in comparisons if c.benchmark == benchmark and c.category == ALL]
        if changes:
            console().print(differences(changes))


def accuracies(scores: Sequence[Score]) -> Any:
    """One benchmark's accuracies with 95 % intervals: a row for each model, a column for each style."""
    overall = {(s.model, s.style): s for s in scores if (s.category, s.metric) == (ALL, "accuracy")}
    consistent = {(s.model, s.style): s for s in scores if s.metric == "consistency"}
    styles = list(dict.fromkeys(style for _, style in overall))
    first = next(iter(overall.values()))
    table = _table(f"{first.benchmark}: accuracy, % ({first.n:,} questions)")
    table.add_column("model")
    for style in styles:
        table.add_column(style, justify="right")
    for model in dict.fromkeys(model for model, _ in overall):
        table.add_row(model, *(_interval(overall[model, style]) for style in styles))
        if consistent:
            table.add_row(f"{model}, groups all right", *(_interval(consistent[model, style]) for style in styles))
    return table


def differences(comparisons: Sequence[Comparison]) -> Any:
    """One benchmark's comparisons over all questions."""
    table = _table("difference in points (95 % interval)")
    for head in ("compared", "points", "p", "fixed", "broken"):
        table.add_column(head, justify="left" if head == "compared" else "right")
    for c in comparisons:
        if c.before_style == c.after_style:
            what = f"{c.after_model} - {c.before_model}, {c.after_style}"
        else:
            what = f"{c.after_style} - {c.before_style}, {c.after_model}"
        change = f"{100 * c.value:+.1f} ({100 * c.low:+.1f} to {100 * c.high:+.1f})"
        p = "< 0.0001" if c.p < 0.0001 else f"{c.p:.4f}"
        table.add_row(what, change, p, str(c.fixed), str(c.broken))
    return table


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")


def _interval(score: Score) -> str:
    return f"{100 * score.value:.1f} ({100 * score.low:.1f}-{100 * score.high:.1f})"
