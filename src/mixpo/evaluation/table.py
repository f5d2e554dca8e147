"""Scores and comparisons as tables in the terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mixpo import output
from mixpo.evaluation.metrics import NOT_SCORED, UNITS, scaled, with_interval
from mixpo.evaluation.scores import ALL, RATES, repeated
from mixpo.evaluation.writing import WRITING
from mixpo.output import TextTable
from mixpo.progress import say
from mixpo.prompts import Style
from mixpo.records import Comparison, Score

RATE_NAMES = (*(str(outcome) for outcome in RATES), "unanswered")
WRITING_NAMES = tuple(metric.name for metric in WRITING)
USUAL = ("accuracy", "consistency", *RATE_NAMES, *WRITING_NAMES)
"""Metrics that every benchmark has; what else there is, it declares itself."""
SHOWN = {*RATE_NAMES[:3], *WRITING_NAMES}
"""Shown even when it is 0 everywhere."""
HEADS = {"repetition": "repeated", "looping": "loops"}


def show(
    name: str,
    scores: Sequence[Score],
    comparisons: Sequence[Comparison],
    warnings: Sequence[Mapping[str, Any]],
    folder: Path | None = None,
    shown: Iterable[TextTable] | None = None,
) -> None:
    """Prints the tables (`shown`, else all), the warnings and where the files lie; under `--json` all scores,
    comparisons and warnings go under `name`."""
    numbers = {"scores": scores, "comparisons": comparisons, "warnings": warnings, "folder": folder}
    output.show({name: numbers}, tables(scores, comparisons) if shown is None else shown)
    for warning in warnings:
        say(f"warning: {warning['text']}")
    if folder is not None:
        output.tell(f"{name}: scores, answers and verdicts are in {folder}")


def tables(scores: Sequence[Score], comparisons: Sequence[Comparison]) -> Iterator[TextTable]:
    """For each benchmark the accuracies, models against styles, its own metrics, the gap between direct answers and
    chains of thought per category, how the answers look, then the differences."""
    for benchmark in dict.fromkeys(score.benchmark for score in scores):
        mine = [score for score in scores if score.benchmark == benchmark]
        changes = [c for c in comparisons if c.benchmark == benchmark]
        if any(score.metric == "accuracy" for score in mine):
            yield accuracies(mine)
        own = [name for name in dict.fromkeys(s.metric for s in mine) if name not in USUAL]
        if own:
            yield metrics(mine, own, f"{benchmark}: other scores, % (95 % interval)")
        if gaps := [c for c in changes if is_gap(c)]:
            yield by_category(mine, gaps)
        yield how(mine)
        compared = [c for c in changes if c.category == ALL and c.metric not in WRITING_NAMES]
        if compared:
            yield differences(compared)


def accuracies(scores: Sequence[Score]) -> TextTable:
    """One benchmark's accuracies with 95 % intervals: a row for each model, a column for each style."""
    overall = {(s.model, s.style): s for s in scores if (s.category, s.metric) == (ALL, "accuracy")}
    consistent = {(s.model, s.style): s for s in scores if s.metric == "consistency"}
    styles = list(dict.fromkeys(style for _, style in overall))
    first = next(iter(overall.values()))
    same = {score.n for score in overall.values()} == {first.n}
    rows = []
    for model in dict.fromkeys(model for model, _ in overall):
        asked = max(score.n for (name, _), score in overall.items() if name == model)
        cells = [_interval(overall.get((model, style))) for style in styles]
        rows.append((model, *cells, *(() if same else (f"{asked:,}",))))
        if consistent:
            cells = [_interval(consistent.get((model, style))) for style in styles]
            rows.append((f"{model}, groups all right", *cells, *(() if same else ("",))))
    title = f"{first.benchmark}: accuracy, %" + (f" ({first.n:,} questions)" if same else "")
    return TextTable(title, ("model", *styles, *(() if same else ("questions",))), rows)


def metrics(scores: Sequence[Score], names: Sequence[str], title: str) -> TextTable:
    """One benchmark's own scores: a row for each model and style, over all questions."""
    rows = [
        (f"{model}, {style}", *(_interval(found.get(name)) for name in names))
        for (model, style), found in _overall(scores).items()
    ]
    return TextTable(title, ("model, prompt", *(name.replace("_", " ") for name in names)), rows)


def how(scores: Sequence[Score]) -> TextTable:
    """The answers that could not count, and how long and how repetitive they are."""
    names = [n for n in (*RATE_NAMES, *WRITING_NAMES) if any(s.metric == n and (s.value or n in SHOWN) for s in scores)]
    rows = [
        (model, style, *(_value(found.get(name)) for name in names))
        for (model, style), found in _overall(scores).items()
    ]
    heads = ("model", "prompt", *(HEADS.get(name, name) for name in names))
    return TextTable("the answers: shares in %, length in tokens", heads, rows, text=2)


def by_category(scores: Sequence[Score], gaps: Sequence[Comparison]) -> TextTable:
    """Direct answers against chains of thought for each model and category: the gap and its interval."""
    values = {(s.model, s.style, s.category): s for s in scores if s.metric == "accuracy"}
    twice = repeated(scores)
    rows = []
    for gap in gaps:
        if gap.category not in twice:
            ends = [values.get((gap.after_model, style, gap.category)) for style in (Style.DIRECT, Style.COT)]
            shares = [_value(end) for end in ends]
            rows.append((gap.after_model, gap.category, f"{gap.n:,}", *shares, says(gap)))
    heads = ("model", "category", "n", "direct", "cot", "gap (95 % interval)")
    return TextTable("chain of thought minus direct answer, by category", heads, rows, text=2)


def differences(comparisons: Sequence[Comparison]) -> TextTable:
    """One benchmark's comparisons over all questions."""
    rows = []
    for c in comparisons:
        if c.before_style == c.after_style:
            what = f"{c.after_model} - {c.before_model}, {c.after_style}"
        else:
            what = f"{c.after_style} - {c.before_style}, {c.after_model}"
        if c.metric != "accuracy":
            what = f"{c.metric.replace('_', ' ')}: {what}"
        changed = (str(c.fixed), str(c.broken)) if c.metric == "accuracy" else ("", "")
        rows.append((what, says(c), probability(c), *changed))
    return TextTable("difference in points (95 % interval)", ("compared", "points", "p", "fixed", "broken"), rows)


def is_gap(c: Comparison) -> bool:
    """Whether a comparison is that of a chain of thought with the direct answer before it."""
    return (c.metric, c.before_style, c.after_style) == ("accuracy", Style.DIRECT, Style.COT)


def _overall(scores: Sequence[Score]) -> dict[tuple[str, str], dict[str, Score]]:
    found: dict[tuple[str, str], dict[str, Score]] = {}
    for score in scores:
        if score.category == ALL:
            found.setdefault((score.model, score.style), {})[score.metric] = score
    return found


def probability(c: Comparison) -> str:
    return "< 0.0001" if c.p < 0.0001 else f"{c.p:.4f}"


def says(c: Comparison) -> str:
    """The difference in points with its interval."""
    return with_interval(c.value, c.low, c.high, c.metric, sign="+")


def _interval(score: Score | None) -> str:
    if score is None:
        return ""
    if score.value is None or score.low is None or score.high is None:
        return NOT_SCORED
    scale, digits = scaled(score.metric)
    value, low, high = (f"{scale * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value} ({low}-{high})"


def _value(score: Score | None) -> str:
    if score is None:
        return ""
    if score.value is None:
        return NOT_SCORED
    return f"{score.value:.0f}" if score.metric in UNITS else f"{100 * score.value:.1f}"
