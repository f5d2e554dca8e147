"""The result of `mixpo ablate` as a page and as Markdown: one table and one figure for each benchmark, and the cost."""

from pathlib import Path
from typing import Any

from mixpo.errors import DataError
from mixpo.evaluation.ablation import GAP
from mixpo.evaluation.metrics import NOT_SCORED, UNITS, scaled, with_interval
from mixpo.files import RunFiles
from mixpo.report.accuracy import Table, TableRow, style_name
from mixpo.report.figures import Bar, bars
from mixpo.report.numbers import duration
from mixpo.report.page import environment
from mixpo.text_files import read_json, write_text

HEADS = ["Variant", "{value}", "sd over seeds", "Minus base", "Minus {against}", "Seeds"]


def write(files: RunFiles) -> Path:
    """Writes `ablation.html` and `ablation.md` beside `ablation.json`. Raises DataError when there is none."""
    content = read_json(files.json("ablation"))
    if content is None:
        raise DataError(f"{files.root}: no ablation.json there; run `mixpo ablate` first")
    tables = [*result_tables(content), cost_table(content)]
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
    """(benchmark, style, its title) of every accuracy that was measured, in order."""
    pairs = dict.fromkeys(
        (result["benchmark"], result["style"]) for result in content["results"] if result["metric"] == "accuracy"
    )
    return [(benchmark, style, _title(benchmark, style)) for benchmark, style in pairs if style != GAP]


def result_tables(content: dict[str, Any]) -> list[Table]:
    """Accuracies, their gaps between chains of thought and direct answers, then all other scores that are not 0."""
    measured = dict.fromkeys((r["benchmark"], r["style"], r["metric"]) for r in content["results"])
    tables = []
    for about in sorted(measured, key=lambda about: (about[2] != "accuracy", about[1] == GAP)):
        results = _of(content["results"], *about)
        if any(result["value"] is None or result["value"]["value"] for result in results):
            tables.append(_table(results, *about, content["against"]))
    return tables


def _table(results: list[dict[str, Any]], benchmark: str, style: str, metric: str, against: str) -> Table:
    (scale, digits), unit = scaled(metric), "" if metric in UNITS else ", %"
    rows = []
    for result in results:
        spread = "" if result["spread"] is None else f"{scale * result['spread']:.{digits}f}"
        seeds = ", ".join(f"{scale * value:.{digits}f}" for value in result["by_seed"])
        ends = [_interval(result[key], metric, sign="+") for key in ("over_base", "over_against")]
        cells = [result["variant"], _interval(result["value"], metric) or NOT_SCORED, spread, *ends, seeds]
        tone = _tone(result["over_base"]) if metric == "accuracy" else ""
        rows.append(TableRow(cells, result["variant"] == against, tone))
    name = metric.replace("_", " ")
    named = "" if metric == "accuracy" else f": {name}"
    heads = [head.format(value=f"{name.capitalize()}{unit}", against=against) for head in HEADS]
    return Table(f"{_title(benchmark, style)}{named}", heads, rows)


def _title(benchmark: str, style: str) -> str:
    return f"{benchmark}, {'chain of thought minus direct answer' if style == GAP else style_name(style)}"


def cost_table(content: dict[str, Any]) -> Table:
    rows = [
        TableRow(
            [c["variant"], f"{c['pairs']:,.0f}", duration(c["seconds"]), f"{c['tokens']:,.0f}", f"{c['flops']:.2e}"]
        )
        for c in content["costs"]
    ]
    shared = f"Cost of one training; the data that all share took {duration(content['shared_seconds'])}"
    return Table(shared, ["Variant", "Pairs", "Wall time", "Tokens", "FLOPs"], rows)


def figure(content: dict[str, Any], benchmark: str, style: str) -> Any:
    """Accuracy of every variant with its interval."""
    rows = []
    for result in _of(content["results"], benchmark, style, "accuracy"):
        if (found := result["value"]) is None:
            continue
        tone = {content["base"]: "t0", content["against"]: "t2"}.get(result["variant"], "t1")
        label = f"{100 * found['value']:.1f} %"
        rows.append(Bar(result["variant"], found["value"], label, tone, found["low"], found["high"]))
    return bars(f"{benchmark}, {style_name(style)}: accuracy with 95 % intervals", rows, 1.0)


def markdown(table: Table) -> str:
    lines = [f"**{table.title}**", "", _line(table.heads), _line(["---"] * len(table.heads))]
    return "\n".join([*lines, *(_line(row.cells) for row in table.rows)])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _of(results: list[dict[str, Any]], benchmark: str, style: str, metric: str) -> list[dict[str, Any]]:
    return [
        result
        for result in results
        if (result["benchmark"], result["style"], result["metric"]) == (benchmark, style, metric)
    ]


def _interval(found: dict[str, float] | None, metric: str, sign: str = "") -> str:
    return "" if found is None else with_interval(found["value"], found["low"], found["high"], metric, sign)


def _tone(found: dict[str, float] | None) -> str:
    if found is None or found["low"] <= 0 <= found["high"]:
        return ""
    return "good" if found["low"] > 0 else "bad"
