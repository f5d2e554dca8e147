"""What the terminal shows."""

import io
from dataclasses import asdict

from rich.console import Console

from mixpo.evaluation.brief import brief
from mixpo.evaluation.metrics import with_interval
from mixpo.evaluation.statistics import Difference, Share
from mixpo.evaluation.table import accuracies, differences
from mixpo.records import Comparison, Score


def shown(table) -> list[list[str]]:
    """The table's lines as a terminal of 80 columns prints them, cut at two or more spaces."""
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(table)
    lines = [line for line in console.export_text().splitlines() if line.strip(" ─")]
    return [[cell.strip() for cell in line.strip().split("  ") if cell.strip()] for line in lines]


def score(model: str, style: str, metric: str, share: Share) -> Score:
    return Score(
        id=f"{model}/{style}/{metric}", model=model, benchmark="nlvr", style=style, category="all", metric=metric,
        **asdict(share),
    )  # fmt: skip


def test_models_are_rows_and_styles_are_columns():
    scores = [
        score("base", "direct", "accuracy", Share(0.5, 0.45, 0.55, 5934)),
        score("base", "cot", "accuracy", Share(0.6, 0.555, 0.644, 5934)),
        score("base", "direct", "consistency", Share(0.1, 0.08, 0.12, 989)),
        score("base", "cot", "consistency", Share(0.2, 0.18, 0.22, 989)),
    ]
    assert shown(accuracies(scores)) == [
        ["nlvr: accuracy, % (5,934 questions)"],
        ["model", "direct", "cot"],
        ["base", "50.0 (45.0-55.0)", "60.0 (55.5-64.4)"],
        ["base, groups all right", "10.0 (8.0-12.0)", "20.0 (18.0-22.0)"],
    ]


def test_differences_name_what_is_subtracted():
    change = Difference(0.1, 0.05, 0.15, 0.00001, 400, 60, 20)
    models = Comparison(
        benchmark="nlvr", category="all", before_model="base", before_style="cot", after_model="mpo",
        after_style="cot", **asdict(change),
    )  # fmt: skip
    styles = Comparison(
        benchmark="nlvr", category="all", before_model="mpo", before_style="direct", after_model="mpo",
        after_style="cot", **asdict(change),
    )  # fmt: skip
    assert shown(differences([models, styles]))[2:] == [
        ["mpo - base, cot", "+10.0 (+5.0 to +15.0)", "< 0.0001", "60", "20"],
        ["cot - direct, mpo", "+10.0 (+5.0 to +15.0)", "< 0.0001", "60", "20"],
    ]


def test_no_difference_is_minus_nothing():
    """Rounded, -0.0004 is 0.0; lengths are no shares."""
    assert with_interval(-0.0004, -0.05, 0.0, sign="+") == "+0.0 (-5.0 to +0.0)"
    assert with_interval(0.617, 0.527, 0.699) == "61.7 (52.7 to 69.9)"
    assert with_interval(-0.001, -1.5, 0.004, "length", sign="+") == "+0.00 (-1.50 to +0.00)"


def test_the_terminal_shows_one_small_table_a_benchmark(capsys):
    """Accuracies, and under them what the later model has over the first; the rest is in the report."""
    values = [("base", "direct", 0.25), ("base", "cot", 0.4), ("mpo", "direct", 0.25), ("mpo", "cot", 0.5)]
    scores = [
        score(model, style, metric, Share(value, value - 0.05, value + 0.05, 600))
        for model, style, value in values
        for metric in ("accuracy", "looping", "steps_right")
    ]  # fmt: skip
    change = Difference(0.1, 0.05, 0.15, 0.00001, 600, 60, 20)
    pairs = [("base", "direct", "mpo", "direct"), ("base", "cot", "mpo", "cot"), ("base", "direct", "base", "cot")]
    compared = [
        Comparison(
            benchmark="nlvr", category=category, before_model=one, before_style=style, after_model=other,
            after_style=other_style, metric=metric, **asdict(change),
        )
        for one, style, other, other_style in pairs
        for category, metric in (("all", "accuracy"), ("count", "accuracy"), ("all", "steps_right"))
    ]  # fmt: skip
    brief("evaluate", scores, compared, [])
    printed = capsys.readouterr()
    said = [line.split("  ") for line in printed.out.splitlines() if line.strip(" ─")]
    assert "Categories, lengths of answers and other differences are in the report (`mixpo report`)." in printed.err
    assert [[cell.strip() for cell in line if cell.strip()] for line in said] == [
        ["nlvr: accuracy, % (600 questions)"],
        ["model", "direct", "cot"],
        ["base", "25.0 (20.0-30.0)", "40.0 (35.0-45.0)"],
        ["mpo", "25.0 (20.0-30.0)", "50.0 (45.0-55.0)"],
        ["mpo - base", "+10.0 (+5.0 to +15.0)", "+10.0 (+5.0 to +15.0)"],
        ["p", "< 0.0001", "< 0.0001"],
    ]
