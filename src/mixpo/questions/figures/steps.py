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
LEAD = re.compile(r"^(?:(?:so|thus|then|hence|therefore|and|now|first|next),? |step \d+[:.)]? |\d+[.)] |[-*•] )+")
"""What may stand before a claim: it says nothing of its own."""
PARTS = re.compile(r"(?:,? and|[,;]) (?=[^,;:]+ is )")
"""Between the claims of a line: "Ann is 7 and Ben is 3"."""
NUMBER = re.compile(r"0*(\d+(?::\d\d)?)(?: [a-z]+)*")
"""A number or a time, perhaps with what it counts."""
RESULTS = frozenset({"it", "that", "this", "answer", "total", "sum", "difference", "result", "count", "product", "x"})
"""Words that name no thing of a figure: what they say is the answer, or what a sum has said already."""


def named(line: str) -> tuple[str, str] | None:
    """What a line says of what: lower case, without its full stop and what leads up to it."""
    match = NAMED.fullmatch(LEAD.sub("", line.strip().removesuffix(".").lower(), count=1))
    return None if match is None else (match["name"], match["value"])


def truths(facts: Mapping[str, str], chain: tuple[str, ...]) -> dict[str, str]:
    """What may be claimed, by name: a figure's facts, and what a true chain finds."""
    return {name.lower(): value.lower() for name, value in facts.items()} | dict(filter(None, map(named, chain)))


def checked(text: str, true: Mapping[str, str]) -> list[bool]:
    """Whether each claim is true, in order; lines that claim nothing are passed over."""
    return [found for line in text.splitlines() for found in _line(line, true)]


def _line(line: str, true: Mapping[str, str]) -> Iterator[bool]:
    plain = LEAD.sub("", line.strip().removesuffix(".").lower(), count=1)
    if match := SUM.fullmatch(plain):
        yield _value(match[1]) == int(match[2])
    elif match := ORDER.fullmatch(plain):
        yield ORDERS[match[2]](int(match[1]), int(match[3]))
    else:
        for claim in filter(None, map(named, PARTS.split(plain))):
            yield from _claim(*claim, true)


def _claim(name: str, value: str, true: Mapping[str, str]) -> Iterator[bool]:
    """Nothing for a name that no figure has, and for words where a number is known: prose says more than claims."""
    number = NUMBER.fullmatch(value)
    if name not in true:
        result = RESULTS.intersection(name.split())
        if not result and any(_alike(name, other, bool(number), value) for other, value in true.items()):
            yield False  # a thing that is not there, or another limit than the one that is asked for
    elif not NUMBER.fullmatch(true[name]):
        yield _listed(value) == _listed(true[name])
    elif value[0].isdigit():
        yield number is not None and number[1] == true[name]


def _alike(name: str, other: str, numbered: bool, value: str) -> bool:
    """Whether a name could be another thing's beside this one, of which a number is known: "leo" beside "mia", "leo's
    cats" beside "mia's cats"; or is this one with another number: "above 5" beside "above 4"."""
    if re.sub(r"\d+", "#", name) == re.sub(r"\d+", "#", other):
        return True
    words, known = name.split(), other.split()
    return numbered and bool(NUMBER.fullmatch(value)) and len(words) == len(known) and "the" not in (words[0], known[0])


def _listed(value: str) -> str:
    return re.sub(r"\b(?:an?|the) ", "", value.replace(", and ", ", ").replace(" and ", ", "))


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
