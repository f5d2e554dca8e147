"""What a condition on one number admits: an interval, x < 2, |x| ≥ 3, x ≠ 1, ℝ without a point, unions of them.

Two conditions are the same when they admit the same numbers. Where they change is among the numbers that one of them
is written with, so all of those are tried, and points beside and between them.
"""

from collections.abc import Iterator
from fractions import Fraction

from mixpo.verdicts.mathematics import values
from mixpo.verdicts.mathematics.structure import ORDER, Bracketed, Leaf, Mathematics, Relation, Several, Union
from mixpo.verdicts.mathematics.tree import Tree, number

BESIDE = Fraction(1, 10**6)
"""How far from a number the points beside it lie."""
MOST = 40
"""Numbers tried at most: more are no answer to a school's question."""


def same_solutions(gold: Mathematics, said: Mathematics) -> bool | None:
    """Whether two conditions admit the same numbers; None where one of them is no condition on one number."""
    names = _variables(gold) | _variables(said)
    ends = sorted({end for part in (gold, said) for end in _ends(part)})
    ends = ends or [Fraction(0)]
    if len(names) > 1 or len(ends) > MOST or not (_is_condition(gold) and _is_condition(said)):
        return None
    ends = sorted({*ends, *(-end for end in ends)})
    middles = [(left + right) / 2 for left, right in zip(ends, ends[1:])]
    points = [
        *ends,
        *(end + side for end in ends for side in (-BESIDE, BESIDE)),
        *middles,
        ends[0] - 1000,
        ends[-1] + 1000,
    ]
    for point in points:
        first, second = _admits(gold, point), _admits(said, point)
        if first is None or second is None:
            return None
        if first != second:
            return False
    return True


def _is_condition(part: Mathematics) -> bool:
    """Whether it says which numbers, and not one number."""
    if isinstance(part, Relation):
        if part.signs in (("∈",), ("∖",)):
            return _is_condition(part.sides[-1]) if part.signs == ("∈",) else _is_reals(part.sides[0])
        return set(part.signs) <= ORDER | {"≠"}
    if isinstance(part, Several | Union):
        return all(map(_is_condition, part.items))
    if isinstance(part, Bracketed):
        return not part.is_set and len(part.items) == 2 and _is_ascending(part)
    return _is_reals(part)


def _is_ascending(part: Bracketed) -> bool:
    """(2, 1) is a point; (a, b) may be an interval."""
    low, high = (_value(item, Fraction(0)) for item in part.items)
    return low is None or high is None or values.less(low, high)


def _is_reals(part: Mathematics) -> bool:
    return isinstance(part, Leaf) and part.text in ("R", "ℝ", "«R»")


def _admits(part: Mathematics, point: Fraction) -> bool | None:
    if _is_reals(part):
        return True
    if isinstance(part, Several | Union):
        found = [_admits(item, point) for item in part.items]
        if None in found:
            return None
        return all(found) if isinstance(part, Several) and part.joined == "and" else any(found)
    if isinstance(part, Bracketed):
        low, high = (_value(item, point) for item in part.items)
        if low is None or high is None:
            return None
        above = values.less(low, point) or (part.opening == "[" and values.same(low, point))
        return above and (values.less(point, high) or (part.closing == "]" and values.same(high, point)))
    if not isinstance(part, Relation):
        return None
    if part.signs == ("∈",):
        return _admits(part.sides[1], point)
    if part.signs == ("∖",):
        removed = part.sides[1].items if isinstance(part.sides[1], Bracketed) else (part.sides[1],)
        found = [_value(item, point) for item in removed]
        return None if None in found else not any(values.same(value, point) for value in found)
    sides = [_value(side, point) for side in part.sides]
    if None in sides:
        return None
    return all(_holds(left, sign, right) for left, sign, right in zip(sides, part.signs, sides[1:]))


def _holds(left: values.Value, sign: str, right: values.Value) -> bool:
    equal = values.same(left, right)
    if sign in "≠≤≥" and equal:
        return sign != "≠"
    return not equal and (sign == "≠" or values.less(left, right) == (sign in "<≤"))


def _value(part: Mathematics, point: Fraction) -> values.Value | None:
    """The real value of an expression with the point for its letter."""
    if not isinstance(part, Leaf) or part.tree is None:
        return None
    try:
        return values.ordered(_with(part.tree, number(point)))
    except values.NoValue:
        return None


def _with(tree: Tree, point: Tree) -> Tree:
    if tree[0] == "sym":
        return point
    return (tree[0], *(_with(part, point) if isinstance(part, tuple) else part for part in tree[1:]))


def _ends(part: Mathematics) -> Iterator[Fraction]:
    """The rational numbers that a condition is written with, and the nearest fractions of the others."""
    if isinstance(part, Leaf):
        if part.tree is not None and not _names(part.tree):
            try:
                found = values.real(part.tree)
                yield found if isinstance(found, Fraction) else Fraction(str(found)[:40])
            except (values.NoValue, ValueError):
                return
        return
    for inner in part.sides if isinstance(part, Relation) else getattr(part, "items", ()):
        yield from _ends(inner)


def _variables(part: Mathematics) -> frozenset[str]:
    if isinstance(part, Leaf):
        return frozenset() if part.tree is None or _is_reals(part) else _names(part.tree)
    inner = part.sides if isinstance(part, Relation) else getattr(part, "items", ())
    return frozenset().union(*map(_variables, inner)) - {"R"}


def _names(tree: Tree) -> frozenset[str]:
    if tree[0] in ("sym", "call"):
        return frozenset((tree[1],))
    return frozenset().union(*(_names(part) for part in tree[1:] if isinstance(part, tuple)))
