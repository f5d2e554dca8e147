"""Charts are well-formed SVG that show what was logged."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from mixpo.report.figures import Bar, Series, bars, line_chart, thinned


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", path)]


def test_bar_lengths_are_in_proportion():
    root = ET.fromstring(bars("Title", [Bar("a", 0.25, "25 %"), Bar("b", 0.5, "50 %", low=0.4, high=0.6)], 1.0))
    widths = [float(rect.get("width")) for rect in root.findall("rect")]
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.11)
    (interval,) = root.findall("path")
    low, _, high = numbers(interval.get("d"))[:3]
    left = float(root.find("rect").get("x"))
    assert low - left == pytest.approx(0.8 * widths[1], abs=0.11)
    assert high - left == pytest.approx(1.2 * widths[1], abs=0.11)


def test_a_figure_can_be_heard():
    assert ET.fromstring(bars("Title", [Bar("a", 1, "25 %")], 1)).get("aria-label") == "Title. a: 25 %"


def test_bars_of_nothing_but_zeros():
    root = ET.fromstring(bars("Title", [Bar("a", 0, "0")], 0))
    assert root.find("rect").get("width") == "0.0"


def test_labels_are_escaped_and_shortened():
    svg = bars("<b>", [Bar("<script>" + "x" * 40, 1, "<i>")], 1)
    assert "<script" not in svg
    assert "<i>" not in svg
    label = ET.fromstring(svg).find("text").text
    assert label.startswith("<script>")
    assert len(label) == 16


def test_a_line_falls_when_the_values_fall():
    """SVG's y grows downwards."""
    root = ET.fromstring(line_chart("Loss", [Series("loss", [(1, 1.0), (2, 0.5), (3, 0.0)])]))
    (line,) = [path for path in root.findall("path") if path.get("class") == "line t1"]
    values = numbers(line.get("d"))
    assert values[0::2] == sorted(values[0::2])
    assert values[1::2] == sorted(values[1::2])
    assert values[3] == pytest.approx((values[1] + values[5]) / 2, abs=0.11)


def test_the_mark_lies_on_the_point():
    root = ET.fromstring(line_chart("Loss", [Series("loss", [(1, 0.9), (2, 0.5)])], mark=(1, 0.9, "expected")))
    circle = root.find("circle")
    line = next(path for path in root.findall("path") if path.get("class") == "line t1")
    assert numbers(line.get("d"))[:2] == [float(circle.get("cx")), float(circle.get("cy"))]


def test_values_that_are_no_numbers_are_left_out():
    root = ET.fromstring(line_chart("Loss", [Series("loss", [(1, 1.0), (2, math.nan), (3, math.inf), (4, 0.5)])]))
    line = next(path for path in root.findall("path") if path.get("class") == "line t1")
    assert len(numbers(line.get("d"))) == 4
    assert "no finite value" in line_chart("Loss", [Series("loss", [(1, math.nan)])])


def test_one_value_is_a_dot():
    root = ET.fromstring(line_chart("Loss", [Series("loss", [(1, 1.0)])]))
    assert len(root.findall("circle")) == 1


def test_thinned_keeps_the_mean():
    points = [(float(x), float(x % 7)) for x in range(1000)]
    few = thinned(points, 250)
    assert len(few) == 250
    assert few[0] == (1.5, 1.5)
    assert sum(y for _, y in few) / 250 == pytest.approx(sum(y for _, y in points) / 1000)
    assert thinned(points[:5], 250) == points[:5]
