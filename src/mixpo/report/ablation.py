"""The result of `mixpo ablate` as a page and as Markdown: one table and one figure for each benchmark, and the cost."""

from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.files import RunFiles, read_json, write_text
from mixpo.report.accuracy import Row, Table, style_name
from mixpo.report.figures import Bar, bars
from mixpo.report.numbers import duration
from mixpo.report.page import environment

COUNTS = ("length", "rating")
"""Scores that are no share."""
HEADS = ["Variant", "Accuracy, %", "sd over seeds", "Minus base", "Minus {}", "Seeds"]


def write(files: RunFiles) -> Path:
    """Writes `ablation.html` and `ablation.md` beside `ablation.json`. Raises DataError when there is none."""
    content = read_json(files.json("ablation"))
    if content is None:
        raise DataError(f"{files.root}: no ablation.json there; run `mixpo ablate` first")
    tables = [*result_tables(content), *gap_tables(content), *other_tables(content), cost_table(content)]
    figures = [(name, figure(content, benchmark, style)) for benchmark, style, name in blocks(content)]
    page = (
        environment()
        .get_template("ablation.html.j2")
        .render(
            name=files.root.name, tables=tables, figures=figures, seeds=content["seeds"], against=content["against"]
        )
    )
    write_text(files.root / "ablation.html", page)
    write_text(files.root / "ablation.md", "\n\n".join(map(markdown, tables)) + "\n")
    return files.root / "ablation.html"


def blocks(content: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(benchmark, style, its title) of everything that was measured, in order."""
    pairs = dict.fromkeys((result["benchmark"], result["style"]) for result in content["results"])
    return [(benchmark, style, f"{benchmark}, {style_name(style)}") for benchmark, style in pairs]


def result_tables(content: dict[str, Any]) -> list[Table]:
    tables = []
    for benchmark, style, title in blocks(content):
        rows = []
        for result in _of(content["results"], benchmark, style):
            spread = "" if result["spread"] is None else f"{100 * result['spread']:.1f}"
            seeds = ", ".join(f"{100 * value:.1f}" for value in result["by_seed"])
            ends = [_interval(result[key], sign="+") for key in ("over_base", "over_against")]
            cells = [result["variant"], _interval(result["accuracy"]), spread, *ends, seeds]
            rows.append(Row(cells, result["variant"] == content["against"], _tone(result["over_base"])))
        tables.append(Table(title, [head.format(content["against"]) for head in HEADS], rows))
    return tables


def gap_tables(content: dict[str, Any]) -> list[Table]:
    """Chain of thought minus direct answer, a table a benchmark."""
    tables = []
    for benchmark in dict.fromkeys(gap["benchmark"] for gap in content["gaps"]):
        gaps = [gap for gap in content["gaps"] if gap["benchmark"] == benchmark]
        rows = [
            Row([gap["variant"], _interval(gap["accuracy"], sign="+")], tone=_tone(gap["accuracy"])) for gap in gaps
        ]
        tables.append(Table(f"{benchmark}: chain of thought minus direct answer", ["Variant", "Points"], rows))
    return tables


def other_tables(content: dict[str, Any]) -> list[Table]:
    """Hallucination, true steps, length and the like: mean over seeds, and each seed's difference to the base."""
    tables = []
    rows = content["others"]
    for benchmark, style, metric in dict.fromkeys((r["benchmark"], r["style"], r["metric"]) for r in rows):
        mine = [row for row in rows if (row["benchmark"], row["style"], row["metric"]) == (benchmark, style, metric)]
        if not any(row["value"] for row in mine):
            continue
        scale = 1 if metric in COUNTS else 100
        cells = []
        for row in mine:
            changes = [
                f"{scale * v:+.1f} ({scale * low:+.1f} to {scale * high:+.1f})" for v, low, high in row["over_base"]
            ]
            cells.append(Row([row["variant"], f"{scale * row['value']:.1f}", "; ".join(changes)]))
        unit = "" if metric in COUNTS else ", %"
        title = f"{benchmark}, {style_name(style)}: {metric.replace('_', ' ')}{unit}"
        tables.append(Table(title, ["Variant", "Value", "Minus base, each seed"], cells))
    return tables


def cost_table(content: dict[str, Any]) -> Table:
    rows = [
        Row([c["variant"], f"{c['pairs']:,.0f}", duration(c["seconds"]), f"{c['tokens']:,.0f}", f"{c['flops']:.2e}"])
        for c in content["costs"]
    ]
    shared = f"Cost of one training; the data that all share took {duration(content['shared_seconds'])}"
    return Table(shared, ["Variant", "Pairs", "Wall time", "Tokens", "FLOPs"], rows)


def figure(content: dict[str, Any], benchmark: str, style: str) -> Any:
    """Accuracy of every variant with its interval."""
    rows = []
    for result in _of(content["results"], benchmark, style):
        found = result["accuracy"]
        tone = {content["base"]: "t0", content["against"]: "t2"}.get(result["variant"], "t1")
        label = f"{100 * found['value']:.1f} %"
        rows.append(Bar(result["variant"], found["value"], label, tone, found["low"], found["high"]))
    return bars(f"{benchmark}, {style_name(style)}: accuracy with 95 % intervals", rows, 1.0)


def markdown(table: Table) -> str:
    lines = [f"**{table.title}**", "", _line(table.heads), _line(["---"] * len(table.heads))]
    return "\n".join([*lines, *(_line(row.cells) for row in table.rows)])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _of(results: list[dict[str, Any]], benchmark: str, style: str) -> list[dict[str, Any]]:
    return [result for result in results if (result["benchmark"], result["style"]) == (benchmark, style)]


def _interval(found: dict[str, float] | None, sign: str = "") -> str:
    if found is None:
        return ""
    value, low, high = (f"{100 * found[key]:{sign}.1f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _tone(found: dict[str, float] | None) -> str:
    if found is None or found["low"] <= 0 <= found["high"]:
        return ""
    return "good" if found["low"] > 0 else "bad"
