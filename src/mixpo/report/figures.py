"""Line charts and bars as inline SVG; colours come from the page's style sheet, so they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from mixpo.report.numbers import tick, ticks

WIDTH = 340
"""Units of a figure's width: about pixels on a telephone, so that its text stays readable there."""
MAX_POINTS = 300
MOST = 1e30
"""Nothing that is beyond is drawn to scale, so that no scale is lost in it, or infinite."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    name: str
    points: list[tuple[float, float]]
    tone: str = "t1"
    """CSS class of its colour: t0 (before) to t3, good, bad."""
    dotted: bool = False
    """Points with dashes between them, for what is measured now and then."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar figure."""

    label: str
    value: float
    text: str
    """What stands at its end."""
    tone: str = "t1"
    low: float | None = None
    """Ends of the interval drawn over it, where there is one."""
    high: float | None = None
    first: bool = False
    """Whether a group of bars begins here: a little space stands before it."""


def bars(title: str, rows: Sequence[Bar], maximum: float) -> Markup:
    """Horizontal bars from 0 to `maximum`, an interval over each that has one."""
    left, right, row_height = 116, 84, 24
    scale = (WIDTH - left - right) / (min(maximum, MOST) or 1)
    parts = []
    bottom = 0
    for number, row in enumerate(rows):
        top = bottom + (10 if row.first and number else 4)
        bottom = top + row_height - 4
        width = min(max(row.value, 0), MOST) * scale
        label = Markup('<text class="label" x="{}" y="{}">{}</text>').format(left - 8, top + 13, _short(row.label))
        rect = Markup('<rect class="{}" x="{}" y="{}" width="{:.1f}" height="16" rx="2"/>')
        parts += [label, rect.format(row.tone, left, top, width)]
        end = width
        if row.low is not None and row.high is not None:
            low, high, middle = left + row.low * scale, left + row.high * scale, top + 8
            path = f"M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
            parts.append(Markup('<path class="interval" d="{}"/>').format(path))
            end = max(width, row.high * scale)
        parts.append(
            Markup('<text class="value" x="{:.1f}" y="{}">{}</text>').format(left + end + 6, top + 13, row.text)
        )
    spoken = "; ".join(f"{row.label}: {row.text}" for row in rows)
    return _svg(f"{title}. {spoken}", bottom + 2, parts)


def line_chart(title: str, series: Sequence[Series], mark: tuple[float, float, str] | None = None) -> Markup:
    """Lines over optimizer steps; `mark` is a point to be ringed and its label. NaN and infinity leave a gap."""
    shown = [(line, [p for p in line.points if abs(p[1]) < MOST]) for line in series]
    points = [point for _, finite in shown for point in finite]
    if not points:
        return Markup('<p class="note">{}: no finite value was logged.</p>').format(title)
    if mark:
        points.append(mark[:2])
    lines = [(line, finite) for line, finite in shown if finite]
    left, right, top = 44, 10, 10 if len(lines) < 2 else 28
    bottom = top + 140
    x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points))
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points))
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    x_scale = (WIDTH - left - right) / ((x_high - x_low) or 1)
    y_scale = (bottom - top) / (y_ticks[-1] - y_ticks[0])

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x_low) * x_scale, bottom - (y - y_ticks[0]) * y_scale

    parts = []
    for value in y_ticks:
        y = place(x_low, value)[1]
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(left, y, WIDTH - right))
        parts.append(Markup('<text class="label" x="{}" y="{:.1f}">{}</text>').format(left - 6, y + 4, tick(value)))
    for value in x_ticks:
        if x_low <= value <= x_high and value == int(value):
            x = place(value, 0)[0]
            parts.append(Markup('<text class="middle" x="{:.1f}" y="{}">{}</text>').format(x, bottom + 15, tick(value)))
    parts += [_line(line, [place(x, y) for x, y in thinned(finite)]) for line, finite in lines]
    if len(lines) > 1:
        parts += _legend([line for line, _ in lines], left)
    if mark:
        x, y = place(*mark[:2])
        parts.append(Markup('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(x, y))
        parts.append(Markup('<text class="halo" x="{:.1f}" y="{:.1f}">{}</text>').format(x + 9, y - 4, mark[2]))
    spoken = "; ".join(f"{line.name}: from {tick(finite[0][1])} to {tick(finite[-1][1])}" for line, finite in lines)
    return _svg(f"{title}. {spoken}", bottom + 20, parts)


def _line(line: Series, places: list[tuple[float, float]]) -> Markup:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = Markup('<path class="line {}{}" d="{}"/>').format(line.tone, " dotted" if line.dotted else "", path)
    if line.dotted or len(places) == 1:
        for x, y in places:
            drawn += Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(line.tone, x, y)
    return drawn


def _legend(lines: Sequence[Series], left: float) -> list[Markup]:
    """The lines' names in a row above the chart."""
    parts, x = [], left
    for line in lines:
        stroke = f"line {line.tone}{' dotted' if line.dotted else ''}"
        parts.append(Markup('<path class="{}" d="M{:.0f} 8h16"/>').format(stroke, x))
        parts.append(Markup('<text class="legend" x="{:.0f}" y="12">{}</text>').format(x + 20, line.name))
        x += 34 + 5.8 * len(line.name)
    return parts


def thinned(points: Sequence[tuple[float, float]], limit: int = MAX_POINTS) -> list[tuple[float, float]]:
    """At most `limit` points: means of equally long stretches, so that no drawn value is a lucky one."""
    size = math.ceil(len(points) / limit)
    stretches = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in stretches]


def _short(label: str, limit: int = 16) -> str:
    return label if len(label) <= limit else label[: limit - 1] + "…"


def _svg(description: str, height: int, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, escape(description))
    return head + Markup("").join(parts) + Markup("</svg>")
