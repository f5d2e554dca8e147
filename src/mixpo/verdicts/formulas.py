"""Whether two formulas are equal, by their values: exact for numbers, at random points for letters.

Two expressions that differ at a point are different; two polynomials or rational functions that agree at several
random rational points are the same but for a negligible chance (Schwartz 1980, Zippel 1979). Equations are compared
as left side minus right side, up to a constant factor. None: not readable here.
"""

import re
from fractions import Fraction
from functools import lru_cache

from mixpo.verdicts.arithmetic import FUNCTIONS, NoValue, TooLarge, Value, evaluate
from mixpo.verdicts.quantities import plain_digits
from mixpo.verdicts.reading import Undecided

POINTS = tuple(Fraction(numerator, 97) for numerator in (131, 211, 57, 389, 163))
RELATION = re.compile(r"(?<![<>!\\])=|<=|>=|\\leq?\b|\\geq?\b|≤|≥|<|>|\\neq?\b|≠")
TUPLE = re.compile(r"(?:\\left)?\(([^()\[\]{}]+(?:,[^()\[\]{}]+)+?)(?:\\right)?\)")
GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
NAME = re.compile(r"\\(?:[a-zA-Z]+)|[a-zA-Z]")
GREEK = frozenset(
    ["alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "phi", "rho", "sigma", "tau", "omega"]
)
KEPT = frozenset(
    (
        *FUNCTIONS,
        "frac",
        "dfrac",
        "tfrac",
        "cfrac",
        "sqrt",
        "pi",
        "cdot",
        "times",
        "div",
        "left",
        "right",
        "displaystyle",
    )
)
CLOSE = 1e-9


def same_formula(gold: str, answer: str) -> bool | None:
    """Whether both are equal; None when one of them cannot be read here."""
    left, right = _sides(gold), _sides(answer)
    if left is None or right is None:
        return None
    if len(left) != len(right):
        return _value_of_equation(left, right)
    if len(left) == 1:
        return _equal_parts(left[0], right[0])
    if left[1] != "=" or right[1] != "=":
        return None
    if _values(left[0]) is not None and left[0] == right[0]:
        return _equal(left[2], right[2])
    return _proportional(left, right)


def _sides(formula: str) -> tuple[str, ...] | None:
    """One expression, or left side, relation, right side."""
    formula = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", formula).strip(" .$")
    relations = list(RELATION.finditer(formula))
    if not relations:
        return (formula,)
    if len(relations) > 1:
        return None
    relation = relations[0]
    return formula[: relation.start()].strip(), relation[0], formula[relation.end() :].strip()


def _value_of_equation(left: tuple[str, ...], right: tuple[str, ...]) -> bool | None:
    """`x = 5` against `5`: a single letter on one side names the value."""
    equation, value = (left, right) if len(left) == 3 else (right, left)
    if equation[1] != "=" or not re.fullmatch(r"\\?[a-zA-Z]+(?:\([a-z]\))?", equation[0]):
        return None if equation[1] == "=" else False
    return _equal(equation[2], value[0])


def _equal_parts(left: str, right: str) -> bool | None:
    """Values, or coordinates one by one: (1, 2) is not (2, 1)."""
    first, second = TUPLE.fullmatch(left), TUPLE.fullmatch(right)
    if first is None or second is None:
        return _equal(left, right)
    parts = [match[1].split(",") for match in (first, second)]
    if len(parts[0]) != len(parts[1]):
        return False
    equal = [_equal(one, other) for one, other in zip(*parts)]
    return False if False in equal else None if None in equal else True


def _equal(left: str, right: str) -> bool | None:
    first, second = _values(left), _values(right)
    if first is None or second is None:
        return None
    return all(map(_close, first, second))


def _proportional(left: tuple[str, ...], right: tuple[str, ...]) -> bool | None:
    """Equations whose sides' differences are a constant multiple of each other."""
    values = [_values(side) for side in (left[0], left[2], right[0], right[2])]
    if any(value is None for value in values):
        return None
    first, second, third, fourth = (value or () for value in values)
    ratios = []
    for a, b, c, d in zip(first, second, third, fourth):
        if c == d or a == b:
            return None
        ratios.append((a - b) / (c - d))
    return all(_close(ratio, ratios[0]) for ratio in ratios)


def _close(left: Value, right: Value) -> bool:
    if isinstance(left, Fraction) and isinstance(right, Fraction):
        return left == right
    return abs(float(left) - float(right)) <= CLOSE * max(1.0, abs(float(left)), abs(float(right)))


@lru_cache(maxsize=65536)
def _values(expression: str) -> tuple[Value, ...] | None:
    """The expression's values: one where it has no letters, else one at each of the points."""
    expression = GROUPED.sub(lambda match: match[0].replace(",", ""), expression)
    names = {name for match in NAME.finditer(expression) if (name := match[0].lstrip("\\")) not in KEPT}
    try:
        if not names:
            return (evaluate(plain_digits(expression)),)
        if not all(len(name) == 1 or name in GREEK for name in names) or names & {"e", "i", "d"}:
            return None
        return tuple(evaluate(_substituted(expression, names, shift)) for shift in range(len(POINTS)))
    except TooLarge as error:
        raise Undecided("a number beyond all limits") from error
    except (NoValue, OverflowError):
        return None


def _substituted(expression: str, names: set[str], shift: int) -> str:
    """The expression with a number for every letter: letters that sort alike get the same one in both formulas."""

    def value(match: re.Match[str]) -> str:
        name = match[0].lstrip("\\")
        if name not in names:
            return match[0]
        point = POINTS[(shift + sum(map(ord, name)) * 7) % len(POINTS)] + Fraction(sum(map(ord, name)) % 89, 13)
        return f"({point.numerator}/{point.denominator})"

    return NAME.sub(value, expression)
