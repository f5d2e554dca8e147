"""The value of a formula without letters: a fraction where it is rational, else 60 digits by mpmath.

Two values are equal when they are the same fraction, or agree in 45 digits *relative* to their size: an absolute
tolerance would make all tiny numbers equal.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from mixpo.verdicts.mathematics.tree import Tree
from mixpo.verdicts.reading import Undecided

Value = Any
"""Fraction, or mpmath's mpf or mpc."""
DIGITS, AGREE = 60, 45
"""Digits computed, and digits in which two irrational values must agree."""
POWER_BITS, FACTORIAL = 20_000, 2_000
"""Limits of exact arithmetic: bits of a power, the largest factorial."""


class NoValue(Exception):
    """The formula has letters, or no value (a root of a negative number is a value, 1/0 is none)."""


@lru_cache(maxsize=65536)
def value(tree: Tree) -> Value:
    """The value of a tree. Raises NoValue, or Undecided for numbers beyond all limits."""
    try:
        found = _value(tree)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError) as error:
        raise NoValue(str(error)) from error
    if not isinstance(found, Fraction):
        mp = _mp()
        if mp.isnan(found):
            raise NoValue("not a number")
        if isinstance(found, mp.mpc) and found.imag == 0:
            return found.real
    return found


def real(tree: Tree) -> Value:
    """As `value`, for a finite real number. Raises NoValue for another."""
    found = ordered(tree)
    if not isinstance(found, Fraction) and not _mp().isfinite(found):
        raise NoValue("not a real number")
    return found


def same(left: Value, right: Value) -> bool:
    """Whether two values are equal."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    mp = _mp()
    left, right = _wide(left), _wide(right)
    if mp.isinf(left) or mp.isinf(right):
        return bool(left == right)
    return bool(abs(left - right) <= mp.mpf(10) ** -AGREE * max(abs(left), abs(right)))


def ordered(tree: Tree) -> Value:
    """As `value`, for a real number or an infinity. Raises NoValue for another."""
    found = value(tree)
    if not isinstance(found, Fraction) and isinstance(found, _mp().mpc):
        raise NoValue("not a real number")
    return found


def less(left: Value, right: Value) -> bool:
    """Whether one real value is below another."""
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left < right
    return bool(_wide(left) < _wide(right))


def times(left: Value, right: Value) -> Value:
    """The product of two values."""
    return left * right if isinstance(left, Fraction) and isinstance(right, Fraction) else _wide(left) * _wide(right)


def plus(left: Value, right: Value) -> Value:
    """The sum of two values."""
    return left + right if isinstance(left, Fraction) and isinstance(right, Fraction) else _wide(left) + _wide(right)


@lru_cache(maxsize=1)
def _mp() -> Any:
    import mpmath

    context = mpmath.mp.clone()  # its own precision, whatever others set
    context.dps = DIGITS
    return context


def _wide(number: Value) -> Value:
    mp = _mp()
    return mp.mpf(number.numerator) / mp.mpf(number.denominator) if isinstance(number, Fraction) else number


def _value(tree: Tree) -> Value:
    head = tree[0]
    if head == "num":
        return Fraction(tree[1], tree[2])
    if head == "const":
        mp = _mp()
        return {"π": mp.pi, "e": mp.e, "i": mp.mpc(0, 1), "∞": mp.inf}[tree[1]] + mp.mpf(0)
    if head in ("sym", "call"):
        raise NoValue(f"{tree[1]} is a letter")
    if head == "fn":
        return _function(tree[1], tree[2:])
    if head == "neg":
        return -_value(tree[1])
    if head == "deg":
        return _value(tree[1])
    if head == "percent":
        return _value(tree[1]) / 100
    left, right = _value(tree[1]), _value(tree[2])
    if head == "pow":
        return _power(left, right)
    if not (isinstance(left, Fraction) and isinstance(right, Fraction)):
        left, right = _wide(left), _wide(right)
    if head == "add":
        total = left + right
        tiny = not isinstance(total, Fraction) and abs(total) < _mp().mpf(10) ** (3 - DIGITS) * max(
            abs(left), abs(right)
        )
        return Fraction(0) if tiny else total  # what is left of two equal numbers is what was rounded
    return left * right if head == "mul" else left / right


def _power(base: Value, exponent: Value) -> Value:
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if exponent.denominator == 1:
            if bits * abs(exponent) > POWER_BITS:
                raise Undecided("a number beyond all limits")
            return base ** int(exponent)
        if base >= 0 and (root := _root(base, exponent.denominator)) is not None:
            return _power(root, Fraction(exponent.numerator))
        if base < 0 and exponent.denominator % 2:  # the real root, as schools have it
            return (-1) ** exponent.numerator * _power(-base, exponent)
    base, exponent = _wide(base), _wide(exponent)
    if abs(exponent) * (1 + abs(_mp().log(abs(base), 2) if base else 0)) > POWER_BITS:
        raise Undecided("a number beyond all limits")
    return base**exponent


def _root(base: Fraction, degree: int) -> Fraction | None:
    """The exact root where there is one."""
    parts = []
    for number in (base.numerator, base.denominator):
        if degree > 64 or number.bit_length() > POWER_BITS:
            return None
        mp = _mp()
        root = math.isqrt(number) if degree == 2 else int(mp.nint(mp.root(number, degree)))
        if root**degree != number:
            return None
        parts.append(root)
    return Fraction(parts[0], parts[1])


def _has_degrees(tree: Tree) -> bool:
    return tree[0] == "deg" or any(_has_degrees(part) for part in tree[1:] if isinstance(part, tuple))


def _function(name: str, arguments: tuple[Tree, ...]) -> Value:
    mp = _mp()
    values = [_value(argument) for argument in arguments]
    if name in INTEGERS:
        return INTEGERS[name](*values)
    if name == "sqrt":
        return _power(values[0], Fraction(1, 2))
    if name == "cbrt":
        return _power(values[0], Fraction(1, 3))
    if name in ("max", "min"):
        return max(values) if name == "max" else min(values)
    if name == "abs":
        return abs(values[0])
    wide = [_wide(number) for number in values]
    if name == "log_base":
        return _nearest(mp.log(wide[1]) / mp.log(wide[0]))
    if name == "lg":
        return _nearest(mp.log10(wide[0]))
    if name in ("ln", "exp"):
        if name == "exp" and abs(wide[0]) > POWER_BITS:
            raise Undecided("a number beyond all limits")
        return _nearest(getattr(mp, name)(wide[0]))
    if name in TRIGONOMETRY:
        angle = wide[0] * mp.pi / 180 if _has_degrees(arguments[0]) else wide[0]
        return _nearest(getattr(mp, TRIGONOMETRY[name])(angle))
    raise NoValue(f"{name} has no value")  # log without a base: of 10 in one school, of e in another


def _nearest(number: Value) -> Value:
    """The whole or half number that a function's value is in all its digits: log_2 8 is 3."""
    mp = _mp()
    if isinstance(number, mp.mpc) or abs(number) > 10**DIGITS:
        return number
    doubled = mp.nint(2 * number)
    close = abs(2 * number - doubled) < mp.mpf(10) ** -AGREE * max(1, abs(doubled))
    return Fraction(int(doubled), 2) if close else number


TRIGONOMETRY = {name: name for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh")} | {
    f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan")
}


def _whole(number: Value, limit: int) -> int:
    if not isinstance(number, Fraction) or number.denominator != 1 or number < 0:
        raise NoValue("not a whole number")
    if number > limit:
        raise Undecided("a number beyond all limits")
    return int(number)


def _floor(number: Value) -> Fraction:
    return Fraction(math.floor(number) if isinstance(number, Fraction) else int(_mp().floor(number)))


INTEGERS: dict[str, Callable[..., Fraction]] = {
    "factorial": lambda number: Fraction(math.factorial(_whole(number, FACTORIAL))),
    "binomial": lambda n, k: Fraction(math.comb(_whole(n, 10 * FACTORIAL), _whole(k, FACTORIAL))),
    "gcd": lambda *numbers: Fraction(math.gcd(*(_whole(number, 10**100) for number in numbers))),
    "lcm": lambda *numbers: Fraction(math.lcm(*(_whole(number, 10**100) for number in numbers))),
    "floor": _floor,
    "mod": lambda number, divisor: Fraction(_whole(number, 10**100) % _whole(divisor, 10**100)),
    "ceil": lambda number: -_floor(-number),
}
