"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.report.numbers import count, duration, p_value, percent, points, tick, ticks


def test_formats():
    assert percent(0.5521) == "55.2 %"
    assert (points(0.1623), points(-0.004), points(0.0001), points(-0.0001)) == ("+16.2", "−0.4", "0.0", "0.0")
    assert count(1234567) == "1,234,567"
    assert [duration(s) for s in (3.21, 59.6, 75, 3720)] == ["3.2 s", "1 min 0 s", "1 min 15 s", "1 h 2 min"]
    assert [p_value(p) for p in (1e-9, 0.0042, 0.0312, 0.4512)] == [
        "p < 0.0001", "p = 0.0042", "p = 0.031", "p = 0.45"
    ]  # fmt: skip
    assert (tick(-0.5), tick(0.30000000000000004), tick(12000)) == ("−0.5", "0.3", "12,000")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1.0]),
        (0.31, 0.69, [0.3, 0.4, 0.5, 0.6, 0.7]),
        (3, 3, [1, 2, 3, 4, 5]),
        (-12, 88, [-50, 0, 50, 100]),
    ],
)
def test_ticks_by_hand(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_enclose_the_range_and_are_few(low, width):
    found = ticks(low, low + width)
    tolerance = 1e-6 * (width + abs(low))
    assert found[0] <= low + tolerance
    assert found[-1] >= low + width - tolerance
    assert 2 <= len(found) <= 8
