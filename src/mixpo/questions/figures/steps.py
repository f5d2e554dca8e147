"""The steps of a chain of thought about a drawn figure, each checked against what the figure truly holds.

A step is one claim of a line:

    Mia is 7.    Above 5: Ann, Leo.     what is read off, or found, under a name
    7 + 4 = 11.  7 > 4.                 arithmetic
"""

import operator
import re
from collections.abc import Iterator, Mapping

NAMED = re.compile(r"(?P<name>[^\d\W][\w' ]*?)(?: is|:) (?P<value>.+)")
SUM = re.compile(r"(-?\d+(?: [+*-] -?\d+)*) = (-?\d+)")
ORDER = re.compile(r"(-?\d+) ([<>=]) (-?\d+)")
ORDERS = {"<": operator.lt, ">": operator.gt, "=": operator.eq}
PRONOUNS = frozenset({"it", "so it", "that", "this", "the answer", "so the answer", "final answer", "answer"})
"""Names of no thing: a line that begins so says the answer, which the judge looks at."""


def named(line: str) -> tuple[str, str] | None:
    """What a line says of what: lower case, without its full stop."""
    match = NAMED.fullmatch(line.strip().removesuffix(".").lower())
    return None if match is None or match["name"] in PRONOUNS else (match["name"], match["value"])


def truths(facts: Mapping[str, str], chain: tuple[str, ...]) -> dict[str, str]:
    """What may be claimed, by name: a figure's facts, and what a true chain finds."""
    return {name.lower(): value.lower() for name, value in facts.items()} | dict(filter(None, map(named, chain)))


def checked(text: str, true: Mapping[str, str]) -> list[bool]:
    """Whether each claim is true, in order; lines that claim nothing are passed over."""
    return [found for line in text.splitlines() for found in _line(line, true)]


def _line(line: str, true: Mapping[str, str]) -> Iterator[bool]:
    plain = line.strip().removesuffix(".")
    if match := SUM.fullmatch(plain):
        yield _value(match[1]) == int(match[2])
    elif match := ORDER.fullmatch(plain):
        yield ORDERS[match[2]](int(match[1]), int(match[3]))
    elif claim := named(line):
        # A name that nothing has is made up.
        yield true.get(claim[0]) == claim[1]


def _value(terms: str) -> int:
    """A sum of products, from left to right."""
    total, sign = 0, 1
    product: int | None = None
    for part in terms.split(" "):
        if part == "*":
            continue
        if part in "+-" and product is not None:
            total += sign * product
            sign, product = (1 if part == "+" else -1), None
        else:
            product = int(part) if product is None else product * int(part)
    return total + sign * (product or 0)
