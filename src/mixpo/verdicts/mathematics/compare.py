"""Whether two pieces of mathematics are the same: structures here, part by part; expressions by value or by SymPy.

Every function answers True, False, or None where it cannot be told. None is never taken for True.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from mixpo.verdicts.mathematics import structure, symbolic, values
from mixpo.verdicts.mathematics.conclude import UNREADABLE, conclude
from mixpo.verdicts.mathematics.solutions import same_solutions
from mixpo.verdicts.mathematics.structure import (
    ORDER,
    Bracketed,
    Cases,
    Leaf,
    Mathematics,
    Matrix,
    Point,
    Relation,
    Several,
    Union,
    read,
)
from mixpo.verdicts.mathematics.tree import Tree, letters_of
from mixpo.verdicts.units import conversion, unit_of

FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤", "=": "=", "≠": "≠"}
LOOKS = str.maketrans("", "", "{}_ ")
"""What two ways to write the same name differ in: H_2O, H_{2}O, H₂O."""
SYMMETRIC = frozenset("∥⊥≅∼≡↔∩∧")


@lru_cache(maxsize=65536)
def same(gold: str, said: str, asked: str = "") -> bool | None:
    """Whether an answer is the ground truth, both as written; `asked` is the question. Raises Undecided."""
    truth, answer = read(gold), read(said)
    decided = equal(truth, answer, asked)
    if decided is None and any(sign in gold or sign in said for sign in UNREADABLE):
        return symbolic.library_says(gold, said)
    return decided


def equal(gold: Mathematics, said: Mathematics, asked: str = "") -> bool | None:
    """Whether two structures are the same."""
    if gold == said:
        return True
    said = conclude(said, gold, asked)
    gold = gold if isinstance(said, Relation) else conclude(gold, said, asked)
    if isinstance(gold, Leaf) and isinstance(said, Leaf):
        return _leaves(gold, said)
    if (admitted := same_solutions(gold, said)) is not None and not (
        isinstance(gold, Bracketed) and isinstance(said, Bracketed)
    ):
        return admitted
    if isinstance(gold, Cases) and isinstance(said, Cases):
        return unordered(
            [Bracketed("(", ")", row) for row in gold.rows], [Bracketed("(", ")", row) for row in said.rows], asked
        )
    if isinstance(gold, Relation) and isinstance(said, Relation):
        return _relations(gold, said)
    if (interval := _intervals(gold, said)) is not None:
        return every(equal(*ends) for ends in interval[0]) if interval[1] else False
    if _is_listing(gold) and _is_listing(said):
        return unordered(_items(gold), _items(said), asked)
    if isinstance(gold, Bracketed) and isinstance(said, Bracketed):
        if (gold.opening, gold.closing) != (said.opening, said.closing) or len(gold.items) != len(said.items):
            return False
        return every(equal(*pair) for pair in zip(gold.items, said.items))
    if isinstance(gold, Matrix) and isinstance(said, Matrix):
        if [len(row) for row in gold.rows] != [len(row) for row in said.rows]:
            return False
        return every(equal(*pair) for rows in zip(gold.rows, said.rows) for pair in zip(*rows))
    if isinstance(gold, Point) or isinstance(said, Point):
        return _points(gold, said)
    return _single(gold, said, asked)


def _single(gold: Mathematics, said: Mathematics, asked: str) -> bool | None:
    """A set of one element is that element; structures of other kinds differ where both could be read."""
    for left, right in ((gold, said), (said, gold)):
        if isinstance(left, Bracketed) and not left.items and isinstance(right, Leaf) and right.text == "∅":
            return True
        if isinstance(left, Bracketed) and not left.is_set and isinstance(right, Matrix) and (vector := _vector(right)):
            return equal(left, Bracketed(left.opening, left.closing, vector))
        if (
            isinstance(left, Bracketed)
            and left.opening == "("
            and isinstance(right, Several)
            and (named := _by_name(right))
        ):
            return equal(left, Bracketed("(", ")", named))
        if isinstance(left, Bracketed) and left.is_set and len(left.items) == 1:
            return equal(left.items[0], right)
        if isinstance(left, Relation) and isinstance(right, Leaf) and "ratio" in asked.lower():
            return _leaves(_quotient(left), right) if left.signs == (":",) else False
    return False if _readable(gold) and _readable(said) else None


def _quotient(ratio: Relation) -> Leaf:
    """3:4 as the number that it is where a ratio is asked for."""
    trees = [side.tree if isinstance(side, Leaf) else None for side in ratio.sides]
    return Leaf(":", ("div", *trees) if None not in trees else None)


def _vector(matrix: Matrix) -> tuple[Mathematics, ...]:
    """The entries of a single row or column; none of another matrix."""
    columns = list(zip(*matrix.rows))
    return tuple(matrix.rows[0]) if len(matrix.rows) == 1 else tuple(columns[0]) if len(columns) == 1 else ()


def _by_name(part: Several) -> tuple[Mathematics, ...]:
    """The values of `x = 2, y = -1` in the order of their names; empty where they are no such list."""
    pairs = [
        (item.sides[0], item.sides[-1]) for item in part.items if isinstance(item, Relation) and item.signs == ("=",)
    ]
    names = [side.text for side, _ in pairs if isinstance(side, Leaf) and side.tree and side.tree[0] == "sym"]
    distinct = len(set(names)) == len(names) == len(part.items)
    return (
        tuple(value for _, value in sorted(zip(names, (value for _, value in pairs)), key=lambda pair: pair[0]))
        if distinct
        else ()
    )


def _readable(part: Mathematics) -> bool:
    if isinstance(part, Leaf):
        return part.tree is not None
    if isinstance(part, Matrix | Cases):
        return all(_readable(entry) for row in part.rows for entry in row)
    if isinstance(part, Point):
        return _readable(part.place)
    return all(map(_readable, part.sides if isinstance(part, Relation) else part.items))


def every(answers: Iterable[bool | None]) -> bool | None:
    found = list(answers)
    return False if False in found else None if None in found else True


def _leaves(gold: Leaf, said: Leaf) -> bool | None:
    gold, said = _measured(gold, said), _measured(said, gold)
    factor = conversion(said.unit, gold.unit)
    if factor is None:
        return False
    if gold.tree is None or said.tree is None:
        return True if gold.text.translate(LOOKS) == said.text.translate(LOOKS) else None
    if gold.unit and said.unit and not (unit_of(gold.unit) or unit_of(said.unit)) and gold.unit != said.unit:
        return None  # apples and pears
    if gold.tree == said.tree and factor == 1:
        return True
    if _is_transposed(gold.tree) or _is_transposed(said.tree):
        return None  # matrices do not commute
    if letters_of(gold.tree) or letters_of(said.tree):
        return symbolic.equal(gold.tree, said.tree) if factor == 1 else None
    try:
        left, right = values.value(gold.tree), values.value(said.tree)
    except values.NoValue:
        return None
    return values.same(left, right if factor == 1 else values.times(right, factor))


def _measured(leaf: Leaf, other: Leaf) -> Leaf:
    """With its unit, where only the other shows it: the letter of "1.6e-19 C", radians for a multiple of π."""
    if leaf.unit or not other.unit or leaf.tree is None:
        return leaf
    if leaf.tree[0] == "mul" and leaf.tree[2] == ("sym", other.unit.strip("«»")) and not letters_of(leaf.tree[1]):
        return leaf._replace(tree=leaf.tree[1], unit=other.unit)
    return leaf._replace(unit="rad") if unit_of(other.unit) == unit_of("°") and "π" in leaf.text else leaf


def _is_transposed(tree: Tree) -> bool:
    if tree[0] == "pow" and tree[2] == ("sym", "T"):
        return True
    return any(_is_transposed(part) for part in tree[1:] if isinstance(part, tuple))


def _relations(gold: Relation, said: Relation) -> bool | None:
    if (interval := _intervals(gold, said)) is not None and not (set(gold.signs) | set(said.signs)) & {"=", ":"}:
        return every(equal(*ends) for ends in interval[0]) if interval[1] else False
    if len(gold.signs) != len(said.signs):
        return False if _readable(gold) and _readable(said) else None
    if gold.signs == said.signs and every(equal(*pair) for pair in zip(gold.sides, said.sides)):
        return True
    if len(gold.signs) > 1 or any(sign not in FLIPPED for sign in gold.signs + said.signs):
        return _other_relation(gold, said)
    (left, right), (left2, right2) = gold.sides, said.sides
    if gold.signs == said.signs == ("=",) and equal(left, left2) is True:
        return equal(right, right2)
    if not all(isinstance(side, Leaf) and side.tree is not None for side in (left, right, left2, right2)):
        return None
    if gold.signs == said.signs == ("=",) and _same_role(left, left2):
        return equal(right, right2)
    sign = symbolic.ratio_sign(*(side.tree for side in (left, right, left2, right2) if isinstance(side, Leaf)))
    if sign is None:
        return None
    return bool(sign) and said.signs[0] == (gold.signs[0] if sign > 0 else FLIPPED[gold.signs[0]])


def _same_role(left: Mathematics, right: Mathematics) -> bool:
    """y and f(x) name the same function."""
    trees = [side.tree for side in (left, right) if isinstance(side, Leaf) and side.tree]
    heads = {tree[0] if tree[0] == "call" else tree for tree in trees}
    return heads == {"call", ("sym", "y")}


def _other_relation(gold: Relation, said: Relation) -> bool | None:
    """Ratios are the same when proportional; what is symmetric may be turned; other relations side by side."""
    if set(gold.signs) | set(said.signs) == {":"}:
        first, second = _numbers(gold), _numbers(said)
        if first is None or second is None or not all(first + second):
            return None
        cross = zip(first, second)
        return all(values.same(values.times(a, second[0]), values.times(b, first[0])) for a, b in cross)
    if gold.signs == said.signs and len(gold.signs) == 1 and gold.signs[0] in SYMMETRIC:
        return every(equal(*pair) for pair in zip(gold.sides, reversed(said.sides)))
    same_signs = gold.signs == said.signs
    parts = every(equal(*pair) for pair in zip(gold.sides, said.sides)) if same_signs else None
    return False if parts is False or not same_signs else parts


def _numbers(ratio: Relation) -> list[values.Value] | None:
    try:
        return [values.value(side.tree) for side in ratio.sides if isinstance(side, Leaf) and side.tree]
    except values.NoValue:
        return None


Ends = tuple[tuple[Mathematics, Mathematics], ...]


def _intervals(gold: Mathematics, said: Mathematics) -> tuple[Ends, bool] | None:
    """The ends of two intervals in pairs, and whether the same ends belong; None where one of them is none."""
    left, right = _interval(gold), _interval(said)
    if left is None or right is None or (isinstance(gold, Bracketed) and isinstance(said, Bracketed)):
        return None
    return ((left[1], right[1]), (left[2], right[2])), left[0] == right[0]


INFINITY = structure.Leaf("∞", ("const", "∞"))
MINUS_INFINITY = structure.Leaf("-∞", ("neg", ("const", "∞")))


def _interval(part: Mathematics) -> tuple[tuple[bool, bool], Mathematics, Mathematics] | None:
    """Which ends belong, and the ends, of [a, b), a < x ≤ b, x > a; None for another structure."""
    if isinstance(part, Relation) and part.signs == ("∈",):
        return _interval(part.sides[1])
    if isinstance(part, Bracketed) and len(part.items) == 2 and part.opening in "([" and part.closing in ")]":
        return (part.opening == "[", part.closing == "]"), part.items[0], part.items[1]
    if not isinstance(part, Relation) or not set(part.signs) <= ORDER:
        return None
    sides, signs = part.sides, part.signs
    if signs[0] in ">≥":
        sides, signs = tuple(reversed(sides)), tuple(FLIPPED[sign] for sign in reversed(signs))
    if any(sign in ">≥" for sign in signs) or len(signs) > 2:
        return None
    variables = [isinstance(side, Leaf) and side.tree is not None and side.tree[0] == "sym" for side in sides]
    if len(sides) == 3 and variables == [False, True, False]:
        return (signs[0] == "≤", signs[1] == "≤"), sides[0], sides[2]
    if len(sides) == 2 and variables == [True, False]:
        return (False, signs[0] == "≤"), MINUS_INFINITY, sides[1]
    if len(sides) == 2 and variables == [False, True]:
        return (signs[0] == "≤", False), sides[0], INFINITY
    return None


def _is_listing(part: Mathematics) -> bool:
    return isinstance(part, Several | Union) or (isinstance(part, Bracketed) and part.is_set)


def _items(part: Mathematics) -> tuple[Mathematics, ...]:
    return part.items if isinstance(part, Several | Union | Bracketed) else (part,)


def unordered(gold: Sequence[Mathematics], said: Sequence[Mathematics], asked: str = "", most: int = 30) -> bool | None:
    """Whether every element has one that equals it, on both sides; ± 0 and repeated elements count once."""
    if max(len(gold), len(said)) > most:
        return None
    table = [[equal(truth, answer, asked) for answer in said] for truth in gold]
    lines = (*table, *map(list, zip(*table)))
    return every(True if True in line else None if None in line else False for line in lines)


def _points(gold: Mathematics, said: Mathematics) -> bool | None:
    if isinstance(gold, Point) and isinstance(said, Point) and gold.name != said.name:
        return False
    first, second = (part.place if isinstance(part, Point) else part for part in (gold, said))
    return equal(first, second)
