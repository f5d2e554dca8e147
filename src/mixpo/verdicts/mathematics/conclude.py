"""What a chain of equations says the value is: 5 of `x = 5`, 105 of `a+b = 64+41 = 105`."""

import re

from mixpo.verdicts.mathematics import symbolic, values
from mixpo.verdicts.mathematics.structure import Leaf, Mathematics, Relation
from mixpo.verdicts.mathematics.tree import Tree, letters_of
from mixpo.verdicts.reading import Undecided

UNREADABLE = ("\\sum", "\\int", "\\prod", "\\lim", "\\oint")
"""Signs that our grammar leaves to the library's."""
FUNCTION_NAME = re.compile(r"[A-Za-z](?:\^\{?-1\}?|'+|_\{?\w+\}?)*\([a-z](?:,[a-z])*\)")


def concluded(part: Mathematics, asked: str) -> Mathematics:
    """What a piece of mathematics says the value is: the last side of `x = 5`, of `√2 ≈ 1.41`, of `3 + 4 = 7`."""
    if isinstance(part, Relation) and "≈" in part.signs and set(part.signs) <= {"=", "≈", ":="}:
        return part.sides[-1]
    return conclude(part, NUMBER, asked)


NUMBER = Leaf("0.", ("num", 0, 1))


def conclude(part: Mathematics, other: Mathematics, asked: str) -> Mathematics:
    """What a chain of equations ends in, where the other side is no relation."""
    if not isinstance(part, Relation) or (isinstance(other, Relation) and "≈" not in part.signs):
        return part
    if "≈" in part.signs and set(part.signs) <= {"=", "≈", ":="}:
        cut = part.signs.index("≈") + 1
        if isinstance(other, Leaf) and "." in other.text and cut < len(part.sides):
            return part.sides[cut]
        part = Relation(part.sides[:cut], part.signs[: cut - 1])
        if len(part.sides) == 1:
            return part.sides[0] or part
    if isinstance(other, Relation):
        return part
    if part.signs == ("=",) and _is_identity(part.sides[0], part.sides[1]):
        return part.sides[1]
    if set(part.signs) <= {"=", ":="} and (len(part.sides) > 2 or _names(part.sides[0], part.sides[1], asked)):
        return part.sides[-1]
    if part.signs[-1:] == ("=",) and set(part.signs[:-1]) <= {"∩", "∖"}:
        return part.sides[-1]
    if part.signs == ("∈",) and is_name(part.sides[0]):
        return part.sides[1]
    return part


def _is_identity(left: Mathematics, right: Mathematics) -> bool:
    """Whether an equation holds whatever its letters are, so that it only says the same in another form."""
    if not (isinstance(left, Leaf) and isinstance(right, Leaf)) or left.tree is None or right.tree is None:
        return False
    if is_name(left) or not letters_of(left.tree) & letters_of(right.tree):
        return False
    try:
        return symbolic.equal(left.tree, right.tree) is True
    except Undecided:
        return False


def _names(side: Mathematics, value: Mathematics, asked: str) -> bool:
    """Whether the left side of an equation only says what the right one is the value of."""
    if is_name(side):
        return True
    if not isinstance(side, Leaf):
        return False
    if side.text and side.text in asked.replace(" ", "").replace("$", ""):
        return True
    if not isinstance(value, Leaf) or side.tree is None or value.tree is None or letters_of(side.tree):
        return False
    try:
        return values.same(values.value(side.tree), values.value(value.tree))  # 48 + 24 = 72
    except values.NoValue:
        return False


def is_name(side: Mathematics) -> bool:
    """Whether a side is a name and no expression: x, AB, f(x), ∠A, a word, an integral written out."""
    if isinstance(side, Leaf) and FUNCTION_NAME.fullmatch(side.text):
        return True
    if isinstance(side, Leaf) and side.tree is not None and side.tree[0] == "fn" and _bare(side.tree[-1]):
        return True  # sin x
    if isinstance(side, Leaf) and side.tree is None and side.text.startswith((*UNREADABLE, "\\frac{d}{d")):
        return True  # what is asked for, written out: an integral, a limit
    if isinstance(side, Leaf) and side.tree is None:
        return side.text.startswith("«") and side.text.endswith("»")
    return isinstance(side, Leaf) and side.tree is not None and _bare(side.tree) and side.tree[0] not in ("pow", "neg")


def _bare(tree: Tree) -> bool:
    """Letters alone, without a number: x, AB, f(x), m + n, ∠A."""
    if tree[0] in ("sym", "call", "const"):
        return True
    return tree[0] in ("add", "mul", "neg", "div") and all(_bare(part) for part in tree[1:])
