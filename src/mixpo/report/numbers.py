"""Numbers as people read them."""

import math

from mixpo.evaluation.metrics import NOT_SCORED

CLOSE = 1e-12
"""Of two numbers that differ by less, in proportion, no axis tells the one from the other."""


def percent(share: float | None) -> str:
    """0.5521 -> 55.2 %; None, a score that there is not, -> not scored"""
    return NOT_SCORED if share is None else f"{100 * share:.1f} %"


def points(difference: float, scale: int = 100, digits: int = 1) -> str:
    """0.1623 -> +16.2; −0.004 -> −0.4 (percentage points)."""
    text = f"{scale * difference:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def p_value(p: float) -> str:
    """0.0312 -> p = 0.031; anything below 0.0001 -> p < 0.0001."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}" if p < 0.01 else f"p = {p:.2f}" if p > 0.1 else f"p = {p:.3f}"


def count(number: float) -> str:
    """12345 -> 12,345"""
    return f"{round(number):,}"


def duration(seconds: float) -> str:
    """75 -> 1 min 15 s"""
    whole = round(seconds)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def tick(value: float) -> str:
    """A number on an axis: as short as it stays exact to four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}".replace("-", "−")


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) from at or below `low` to at or above `high`."""
    if not high - low > CLOSE * max(abs(low), abs(high), CLOSE):
        low, high = (low + end * (abs(low) if abs(low) > CLOSE else 1) for end in (-0.5, 0.5))
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]
