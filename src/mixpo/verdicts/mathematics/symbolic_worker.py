"""The subprocess of `mixpo.verdicts.mathematics.symbolic`: one JSON question a line, true, false, a sign or null back.

Two expressions that differ at a point are different; two that agree in 30 digits at several random rational points are
the same but for a negligible chance (Schwartz 1980, Zippel 1979). Points at which a root or a logarithm of a negative
number would be taken are left out, so that sqrt(a) sqrt(b) is sqrt(a b), and |x| is not x.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

MEMORY = 3 * 2**30
"""Bytes of address space, SymPy's own included: a huge power ends in MemoryError, not in the machine's swap."""
ORPHANED = 5
"""Seconds of computing beyond the limit after which the kernel ends this process, whatever it is in the middle of: who
asked would have killed it, and so is gone."""
POINTS = 10
"""Points tried."""
ENOUGH = 3
"""Points at which both sides must have a value."""
DIGITS, AGREE = 50, 30
LIMITS = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError, RecursionError, TypeError),
    ValueError,
)
"""What SymPy raises where it does not go on."""


def main() -> None:
    """Answers until standard input is closed."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    _limit_memory()
    import sympy

    sympy.N(sympy.sin(sympy.Symbol("x")).subs("x", 2))  # what is imported on use
    signal.signal(signal.SIGALRM, _stop)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        seconds, question, *arguments = json.loads(line)
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            signal.setitimer(signal.ITIMER_PROF, seconds + ORPHANED)
            result: Any = QUESTIONS[question](*arguments)
        except TimeoutError:
            result = "time"
        except LIMITS:
            result = None  # not to be compared
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(result), file=answers, flush=True)


def _stop(*_: Any) -> None:
    raise TimeoutError


def equal(left: list, right: list) -> bool | None:
    """Whether two trees are the same expression."""
    import sympy

    first, second = expression(left), expression(right)
    if first == second or sympy.expand(first - second) == 0:
        return True
    agreed = 0
    for one, other in _values(first, second):
        if abs(one - other) > sympy.Float(10) ** -AGREE * max(abs(one), abs(other)):
            return False
        agreed += 1
    return True if agreed >= ENOUGH else None


def ratio_sign(left: list, right: list, left2: list, right2: list) -> int | None:
    """The sign of the constant that one difference of sides is of the other; 0: they are not proportional."""
    import sympy

    first = expression(left) - expression(right)
    second = expression(left2) - expression(right2)
    ratios = []
    for one, other in _values(first, second):
        zeros = [abs(value) < sympy.Float(10) ** -AGREE for value in (one, other)]
        if all(zeros):
            continue  # a point on both lines tells nothing
        if any(zeros):
            return 0
        ratios.append(one / other)
    if len(ratios) < ENOUGH:
        return None
    if any(abs(ratio - ratios[0]) > sympy.Float(10) ** -AGREE * abs(ratios[0]) for ratio in ratios):
        return 0
    return 1 if sympy.re(ratios[0]) > 0 else -1


def library_says(gold: str, said: str) -> bool | None:
    """What math-verify says of two formulas, each parsed to its last sign, without its rounding to six digits."""
    from antlr4 import Token
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
    from math_verify import verify

    parsed = []
    for formula in (gold, said):
        converter = _Latex2Sympy(config=ConversionConfig(lowercase_symbols=False))
        kept: list[Any] = []
        make = converter.create_parser
        converter.create_parser = lambda text, make=make, kept=kept: kept.append(make(text)) or kept[-1]
        try:
            parsed.append(converter.parse(formula.strip("$ .")))
        except Exception:  # the grammar raises bare Exceptions for what it does not know
            return None
        if kept[0].getCurrentToken().type != Token.EOF:
            return None  # only a part was read
    return bool(verify(*parsed, float_rounding=30, numeric_precision=DIGITS, timeout_seconds=None, raise_on_error=True))


def _values(first: Any, second: Any) -> Any:
    """The values of two expressions at points where both have one."""
    import sympy

    symbols = sorted(first.free_symbols | second.free_symbols, key=str)
    complex_ = first.has(sympy.I) or second.has(sympy.I)
    for number in range(POINTS if symbols else ENOUGH):
        point = {symbol: _coordinate(number, index) for index, symbol in enumerate(symbols)}
        if not complex_ and not all(_is_real(part, point) for part in (first, second)):
            continue
        one, other = (sympy.N(part.evalf(DIGITS, subs=point), DIGITS) for part in (first, second))
        if one.is_number and other.is_number and one.is_finite and other.is_finite:
            yield one, other


def _coordinate(number: int, index: int) -> Any:
    import sympy

    numerator = (1009 * (number + 1) + 7919 * (index + 1) * (number + 3)) % 613 + 41
    return sympy.Rational(numerator if (number >> (index % 3)) % 2 == 0 else -numerator, 97)


def _is_real(part: Any, point: dict) -> bool:
    import sympy

    for power in part.atoms(sympy.Pow):
        if not power.exp.is_integer and power.base.evalf(15, subs=point).is_negative:
            return False
    return not any(logarithm.args[0].evalf(15, subs=point).is_negative for logarithm in part.atoms(sympy.log))


def expression(tree: list) -> Any:
    """The SymPy expression of a tree. What has no meaning but its name is a symbol."""
    import sympy

    head, *parts = tree
    if head == "num":
        return sympy.Rational(parts[0], parts[1])
    if head == "sym":
        return sympy.Symbol(parts[0])
    if head == "const":
        return {"π": sympy.pi, "e": sympy.E, "i": sympy.I, "∞": sympy.oo}[parts[0]]
    if head == "call":
        return sympy.Symbol(json.dumps(tree))
    if head == "fn":
        return _function(parts[0], parts[1:])
    inside = [expression(part) for part in parts]
    if head == "neg":
        return -inside[0]
    if head == "deg":
        return inside[0]
    if head == "percent":
        return inside[0] / 100
    left, right = inside
    if head == "pow" and right.is_number and abs(sympy.N(right, 5)) > 10_000:
        raise ValueError("a number beyond all limits")
    return {
        "add": lambda: left + right,
        "mul": lambda: left * right,
        "div": lambda: left / right,
        "pow": lambda: left**right,
    }[head]()


def _function(name: str, parts: list) -> Any:
    import sympy

    inside = [expression(part) for part in parts]
    if name == "log":  # of 10 in one school, of e in another: an unknown factor
        return sympy.Symbol("log's base", positive=True) * sympy.log(inside[0])
    if name == "log_base":
        return sympy.log(inside[1], inside[0])
    if name == "lg":
        return sympy.log(inside[0], 10)
    if name == "factorial" and inside[0].is_number and inside[0] > 1000:
        raise ValueError("a number beyond all limits")
    if '"deg"' in json.dumps(parts) and name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        inside[0] = inside[0] * sympy.pi / 180
    names = {"ln": "log", "abs": "Abs", "ceil": "ceiling", "max": "Max", "min": "Min"}
    names |= {f"arc{function}": f"a{function}" for function in ("sin", "cos", "tan")}
    return getattr(sympy, names.get(name, name))(*inside)


QUESTIONS: dict[str, Callable[..., Any]] = {"equal": equal, "ratio_sign": ratio_sign, "library_says": library_says}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
