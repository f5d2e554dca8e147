"""What the report says of benchmarks: the headline, a figure of accuracies, and tables of all scores."""

from dataclasses import dataclass

from markupsafe import Markup

from mixpo.evaluation.metrics import NOT_SCORED, UNITS, scaled
from mixpo.evaluation.scores import repeated
from mixpo.prompts import Style
from mixpo.records import Comparison, Score
from mixpo.report.collect import Evaluation, ReportData
from mixpo.report.figures import Bar, bars
from mixpo.report.numbers import count, duration, p_value, percent, points

ALL = "all"
STYLE_NAMES: dict[str, str] = {Style.DIRECT: "direct answer", Style.COT: "chain of thought"}
SHORT_NAMES: dict[str, str] = {Style.COT: "CoT"}
RATES = {
    "unparsed": "no final answer found",
    "truncated": "cut by the token limit",
    "undecided": "undecided by the judge",
    "unanswered": "no response",
    "consistency": "groups all right",
}


def style_name(style: str) -> str:
    return STYLE_NAMES.get(style, style)


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of a table: cells of text, the first being its head."""

    cells: list[str]
    strong: bool = False
    tone: str = ""
    """good or bad where an interval excludes 0."""


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    heads: list[str]
    rows: list[TableRow]


@dataclass(frozen=True, slots=True)
class BenchmarkSection:
    """One benchmark of one evaluation, ready for the page."""

    evaluation: str
    name: str
    questions: int
    figure: Markup
    gains: Table
    answers: Table
    """Without rows where there are no right answers: descriptions."""
    categories: list[Table]
    scores: Table
    """What there is besides accuracy: the benchmark's own scores, length, repetition."""
    changes: Table


class Lookup:
    """Scores and comparisons of one benchmark by what they are about."""

    def __init__(self, evaluation: Evaluation, benchmark: str):
        mine = [score for score in evaluation.scores if score.benchmark == benchmark]
        self.scores = {(s.model, s.style, s.category, s.metric): s for s in mine}
        compared = [c for c in evaluation.comparisons if c.benchmark == benchmark]
        self.comparisons = [c for c in compared if c.metric == "accuracy"]
        self.changes = [c for c in compared if c.metric != "accuracy"]
        self.rated = any(score.metric == "accuracy" for score in mine)
        """Whether its questions have right answers."""
        self.models = list(dict.fromkeys(score.model for score in mine))
        self.styles = list(dict.fromkeys(score.style for score in mine))
        named = dict.fromkeys(score.category for score in mine)
        self.categories = [c for c in named if c not in {ALL, *repeated(mine)}]

    def accuracy(self, model: str, style: str, category: str = ALL) -> Score | None:
        return self.scores.get((model, style, category, "accuracy"))

    def gain(self, style: str, category: str = ALL) -> Comparison | None:
        """Last model against the first, under one style."""
        ends = (self.models[0], self.models[-1])
        return next(
            (c for c in self.comparisons if (c.before_model, c.after_model) == ends
             and c.before_style == c.after_style == style and c.category == category), None,
        )  # fmt: skip


def benchmarks(data: ReportData) -> list[BenchmarkSection]:
    """Every benchmark of every evaluation, in the order of the recipe."""
    found = []
    for evaluation in data.evaluations:
        for name in dict.fromkeys(score.benchmark for score in evaluation.scores):
            look = Lookup(evaluation, name)
            questions = max(score.n for score in look.scores.values())
            categories = [_categories(look, style) for style in look.styles if look.categories]
            found.append(
                BenchmarkSection(
                    evaluation.name, name, questions, _figure(look), gains=_gains(look), answers=_answers(look),
                    categories=categories, scores=_scores(look), changes=_changes(look),
                )
            )  # fmt: skip
    return found


def headline(data: ReportData) -> str:
    """One sentence: what training changed with chains of thought, on the first benchmark that has right answers,
    of the first evaluation that compares the model which is evaluated last."""
    compared = [evaluation for evaluation in data.evaluations if evaluation.scores]
    if not compared:
        return "Nothing has been evaluated in this run yet."
    newest = _models(data, compared[-1])[-1:]
    same = (e for e in compared if len(_models(data, e)) > 1 and _models(data, e)[-1:] == newest)
    first = next(same, compared[-1])
    ordered = [first, *reversed(compared)]
    given = ((e, s) for e in ordered for s in e.scores if s.metric == "accuracy" and s.value is not None)
    evaluation, scored = next(given, (None, None))
    if evaluation is None or scored is None:
        return "No benchmark of this run has right answers that could be counted."
    benchmark = scored.benchmark
    look = Lookup(evaluation, benchmark)
    style = Style.COT if Style.COT in look.styles else look.styles[-1]
    gain = look.gain(style)
    after = look.accuracy(look.models[-1], style)
    assert after is not None, "every model and style has a score for all questions"
    if after.value is None:
        return f"{look.models[-1]} is not scored on {benchmark} by {style_name(style)}."
    if gain is None:
        return (
            f"{look.models[-1]} answers {percent(after.value)} of {benchmark} rightly by {style_name(style)} "
            f"(95 % interval {percent(after.low)} to {percent(after.high)}, {count(after.n)} questions)."
        )
    before = look.accuracy(gain.before_model, style)
    assert before is not None
    verb = "raises" if gain.low > 0 else "lowers" if gain.high < 0 else "does not clearly change"
    return (
        f"{gain.after_model} {verb} accuracy on {benchmark} by {style_name(style)}: {percent(before.value)} before "
        f"({gain.before_model}), {percent(after.value)} after, {points(gain.value)} points (95 % interval "
        f"{points(gain.low)} to {points(gain.high)}; {p_value(gain.p)}; {count(gain.n)} questions)."
    )


def _models(data: ReportData, evaluation: Evaluation) -> list[str]:
    """The models of an evaluation, as the recipe says them; none where it does not."""
    return list(data.steps.get(evaluation.name, {}).get("models", {}).values())


def summary(data: ReportData) -> str:
    """What the run did, in one sentence."""
    parts = []
    if data.responses:
        sampled = {data.steps.get(name, {}).get("questions", "questions") for name in data.responses}
        asked = sum(number for name, number in data.questions.items() if name in sampled)
        written = sum(data.responses.values())
        parts.append(f"{count(written)} responses to {count(asked)} questions")
    if data.origins:
        parts.append(f"{count(sum(sum(origins.values()) for origins in data.origins.values()))} preference pairs")
    if data.costs:
        parts.append(f"{duration(sum(cost.seconds for cost in data.costs))} in all")
    return ", ".join(parts) + "." if parts else ""


def _figure(look: Lookup) -> Markup:
    rows = []
    for style in look.styles:
        for number, model in enumerate(look.models):
            score = look.accuracy(model, style)
            if score and score.value is not None:
                label, tone = f"{model}, {SHORT_NAMES.get(style, style)}", f"t{min(number, 3)}"
                rows.append(Bar(label, score.value, percent(score.value), tone, score.low, score.high, number == 0))
    return bars("Accuracy with 95 % intervals", rows, 1.0)


def _gains(look: Lookup) -> Table:
    """Every comparison over all questions: models first, then styles."""
    rows = []
    for c in _overall(look.comparisons):
        rows.append(TableRow([_between(c), *_change(c), f"{count(c.fixed)} / {count(c.broken)}"], tone=_tone(c)))
    return Table("Differences", ["Comparison", "Points", "p", "Fixed / broken"], rows)


def _overall(comparisons: list[Comparison]) -> list[Comparison]:
    return sorted((c for c in comparisons if c.category == ALL), key=lambda c: c.before_style != c.after_style)


def _between(c: Comparison) -> str:
    if c.before_style == c.after_style:
        return f"{c.before_model} → {c.after_model}, {style_name(c.before_style)}"
    return f"{c.after_model}: {style_name(c.before_style)} → {style_name(c.after_style)}"


def _scores(look: Lookup) -> Table:
    """Every score but accuracy and the rates, over all questions, a line for each model and style."""
    usual = ("accuracy", *RATES) if look.rated else ()
    metrics = list(dict.fromkeys(key[3] for key in look.scores if key[2] == ALL and key[3] not in usual))
    rows = []
    for model in look.models:
        for style in look.styles:
            found = [look.scores.get((model, style, ALL, metric)) for metric in metrics]
            if any(found):
                cells = ["" if score is None else _with_interval(score) for score in found]
                rows.append(TableRow([f"{model}, {style_name(style)}", *cells]))
    return Table("Other scores", ["Model and prompt", *(m.replace("_", " ").capitalize() for m in metrics)], rows)


def _changes(look: Lookup) -> Table:
    """Comparisons of scores other than accuracy. More of them is not always better: no line has a tone."""
    rows = [TableRow([f"{_between(c)}: {c.metric.replace('_', ' ')}", *_change(c)]) for c in _overall(look.changes)]
    return Table("Differences of other scores", ["Comparison", "Points, or units of the score", "p"], rows)


def _answers(look: Lookup) -> Table:
    """Accuracy and the rates of answers that could not count, a line for each model and style."""
    metrics = [m for m in RATES if any(key[3] == m and (s.value or m != "undecided") for key, s in look.scores.items())]
    rows = []
    for model in look.models:
        for style in look.styles:
            score = look.accuracy(model, style)
            if score:
                shares = [look.scores.get((model, style, ALL, metric)) for metric in metrics]
                cells = [percent(share.value) if share else "" for share in shares]
                rows.append(TableRow([f"{model}, {style_name(style)}", _with_interval(score), *cells]))
    return Table("Answers", ["Model and prompt", "Accuracy", *(RATES[metric] for metric in metrics)], rows)


def _categories(look: Lookup, style: str) -> Table:
    rows = []
    for category in [*look.categories, ALL]:
        scores = [look.accuracy(model, style, category) for model in look.models]
        gain = look.gain(style, category)
        n = next((score.n for score in scores if score), 0)
        cells = [category, count(n), *(_with_interval(score) if score else "" for score in scores)]
        change = _change(gain) if gain else ["", ""]
        rows.append(TableRow(cells + change, strong=category == ALL, tone=_tone(gain)))
    heads = ["Questions", "n", *look.models, "Points", "p"]
    return Table(f"By kind of question: {style_name(style)}", heads, rows)


def _with_interval(score: Score) -> str:
    if score.value is None or score.low is None or score.high is None:
        return NOT_SCORED
    scale, digits = scaled(score.metric)
    value, low, high = (f"{scale * number:.{digits}f}" for number in (score.value, score.low, score.high))
    return f"{value}{'' if score.metric in UNITS else ' %'} ({low}–{high})"


def _change(c: Comparison) -> list[str]:
    value, low, high = (points(number, *scaled(c.metric)) for number in (c.value, c.low, c.high))
    return [f"{value} ({low} to {high})", p_value(c.p).removeprefix("p ").removeprefix("= ")]


def _tone(c: Comparison | None) -> str:
    if c is None or c.low <= 0 <= c.high:
        return ""
    return "good" if c.low > 0 else "bad"
