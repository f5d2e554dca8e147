"""The tree of a formula, and what it is made of."""

from fractions import Fraction
from typing import NamedTuple

Tree = tuple


LENGTH, DEPTH, DIGITS = 600, 40, 400
"""Characters of a formula, depth of nesting, digits of a number: what is beyond is not read."""


class NotAFormula(Exception):
    """The text is no formula of this grammar; the message says where it ends."""


class Token(NamedTuple):
    kind: str
    text: str
    spaced: bool
    """Whether white space stands before it."""


def number(value: Fraction | int) -> Tree:
    """The tree of a rational number."""
    value = Fraction(value)
    return ("num", value.numerator, value.denominator)


def letters_of(tree: Tree) -> frozenset[str]:
    """The symbols and functions without a value in it, `log` without a base among them."""
    if tree[0] == "sym":
        return frozenset((tree[1],))
    own = {tree[1]} if tree[0] == "call" or tree[:2] == ("fn", "log") else set()
    return frozenset(own).union(*(letters_of(part) for part in tree[1:] if isinstance(part, tuple)))
