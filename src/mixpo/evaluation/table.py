"""Scores and comparisons as tables in the terminal."""

from collections.abc import Sequence
from typing import Any

from mixpo.evaluation.metrics import UNITS, scaled
from mixpo.evaluation.scores import ALL, RATES
from mixpo.evaluation.writing import WRITING
from mixpo.progress import console
from mixpo.prompts import Style
from mixpo.records import Comparison, Score

RATE_NAMES = (*(str(outcome) for outcome in RATES), "unanswered")
WRITING_NAMES = tuple(metric.name for metric in WRITING)
USUAL = ("accuracy", "consistency", *RATE_NAMES, *WRITING_NAMES)
"""Metrics that every benchmark has; what else there is, it declares itself."""
SHOWN = {*RATE_NAMES[:3], *WRITING_NAMES}
"""Shown even when it is 0 everywhere."""
HEADS = {"repetition": "repeated", "looping": "loops"}


def show(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> None:
    """For each benchmark the accuracies, models against styles, its own metrics, the gap between direct answers and
    chains of thought per category, how the answers look, then the differences."""
    for benchmark in dict.fromkeys(score.benchmark for score in scores):
        mine = [score for score in scores if score.benchmark == benchmark]
        changes = [c for c in comparisons if c.benchmark == benchmark]
        if any(score.metric == "accuracy" for score in mine):
            console().print(accuracies(mine))
        own = [name for name in dict.fromkeys(s.metric for s in mine) if name not in USUAL]
        if own:
            console().print(metrics(mine, own, f"{benchmark}: other scores, % (95 % interval)"))
        if gaps := [c for c in changes if is_gap(c)]:
            console().print(by_category(mine, gaps))
        console().print(how(mine))
        compared = [c for c in changes if c.category == ALL and c.metric not in WRITING_NAMES]
        if compared:
            console().print(differences(compared))


def accuracies(scores: Sequence[Score]) -> Any:
    """One benchmark's accuracies with 95 % intervals: a row for each model, a column for each style."""
    overall = {(s.model, s.style): s for s in scores if (s.category, s.metric) == (ALL, "accuracy")}
    consistent = {(s.model, s.style): s for s in scores if s.metric == "consistency"}
    styles = list(dict.fromkeys(style for _, style in overall))
    first = next(iter(overall.values()))
    same = {score.n for score in overall.values()} == {first.n}
    table = _table(f"{first.benchmark}: accuracy, %" + (f" ({first.n:,} questions)" if same else ""))
    table.add_column("model", overflow="fold")
    for style in styles:
        table.add_column(style, justify="right")
    if not same:
        table.add_column("questions", justify="right")
    for model in dict.fromkeys(model for model, _ in overall):
        asked = max(score.n for (name, _), score in overall.items() if name == model)
        cells = [_interval(overall.get((model, style))) for style in styles]
        table.add_row(model, *cells, *([] if same else [f"{asked:,}"]))
        if consistent:
            table.add_row(f"{model}, groups all right", *(_interval(consistent.get((model, s))) for s in styles))
    return table


def metrics(scores: Sequence[Score], names: Sequence[str], title: str) -> Any:
    """One benchmark's own scores: a row for each model and style, over all questions."""
    table = _table(title)
    table.add_column("model, prompt")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for (model, style), found in _overall(scores).items():
        table.add_row(f"{model}, {style}", *(_interval(found.get(name)) for name in names))
    return table


def how(scores: Sequence[Score]) -> Any:
    """The answers that could not count, and how long and how repetitive they are."""
    table = _table("the answers: shares in %, length in tokens")
    names = [n for n in (*RATE_NAMES, *WRITING_NAMES) if any(s.metric == n and (s.value or n in SHOWN) for s in scores)]
    table.add_column("model", overflow="fold")
    table.add_column("prompt")
    for name in names:
        table.add_column(HEADS.get(name, name), justify="right")
    for (model, style), found in _overall(scores).items():
        table.add_row(model, style, *(_value(found.get(name)) for name in names))
    return table


def by_category(scores: Sequence[Score], gaps: Sequence[Comparison]) -> Any:
    """Direct answers against chains of thought for each model and category: the gap and its interval."""
    values = {(s.model, s.style, s.category): s for s in scores if s.metric == "accuracy"}
    table = _table("chain of thought minus direct answer, by category")
    for head in ("model", "category", "n", "direct", "cot", "gap (95 % interval)"):
        table.add_column(head, justify="left" if head in ("model", "category") else "right")
    for gap in gaps:
        ends = [values.get((gap.after_model, style, gap.category)) for style in (Style.DIRECT, Style.COT)]
        shares = [f"{100 * end.value:.1f}" if end else "" for end in ends]
        table.add_row(gap.after_model, gap.category, f"{gap.n:,}", *shares, says(gap))
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
        if c.metric != "accuracy":
            what = f"{c.metric.replace('_', ' ')}: {what}"
        changed = (str(c.fixed), str(c.broken)) if c.metric == "accuracy" else ("", "")
        table.add_row(what, says(c), probability(c), *changed)
    return table


def is_gap(c: Comparison) -> bool:
    """Whether a comparison is that of a chain of thought with the direct answer before it."""
    return (c.metric, c.before_style, c.after_style) == ("accuracy", Style.DIRECT, Style.COT)


def _overall(scores: Sequence[Score]) -> dict[tuple[str, str], dict[str, Score]]:
    found: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        if score.category == ALL:
            found.setdefault((score.model, score.style), {})[score.metric] = score
    return found


def _table(title: str) -> Any:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")


def probability(c: Comparison) -> str:
    return "< 0.0001" if c.p < 0.0001 else f"{c.p:.4f}"


def says(c: Comparison) -> str:
    """The difference in points with its interval."""
    scale, digits = scaled(c.metric)
    value, low, high = (f"{scale * number:+.{digits}f}" for number in (c.value, c.low, c.high))
    return f"{value} ({low} to {high})"


def _interval(score: Score | None) -> str:
    if score is None:
        return ""
    scale, digits = scaled(score.metric)
    value, low, high = (f"{scale * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} ({low}-{high})"


def _value(score: Score | None) -> str:
    if score is None:
        return ""
    return f"{score.value:.0f}" if score.metric in UNITS else f"{100 * score.value:.1f}"
