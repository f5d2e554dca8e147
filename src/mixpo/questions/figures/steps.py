"""The steps of a chain of thought about a drawn figure, each checked against what the figure truly holds.

A step is one claim of a line:

    Mia is 7.    Above 5: Ann, Leo.     what is read off, or found, under a name
    7 + 4 = 11.  7 > 4.                 arithmetic

What a claim says must be clear: words that may mean something else ("Mia is 4 more than Leo") claim nothing.
"""

import re
from collections.abc import Iterator, Mapping

from mixpo.questions.claims import UNIT, arithmetic, plain

NAMED = re.compile(r"(?P<name>[^\d\W][\w' ]*?)(?: is | has | = |: ?)(?P<value>\S.*)")
NUMBER = re.compile(rf"(-?\d{{1,9}}(?::\d{{1,2}})?)(?:\.0+)?{UNIT}(?: ?[,(!].*)?")
"""A number or a time, perhaps with what it counts, and a remark."""
SENTENCES = re.compile(r"(?<=\w|[)°!])(?:[.;!] +| (?:->|=>|[→⇒]) )(?=(?:[^,;:]+(?: is | has |: ?| = ))|-?\(?\d)")
PARTS = re.compile(r"(?:,? (?:and|but|while)|,) (?=[^\W\d][^,;:]*(?: is | has |: ?| = ))")
"""Between the claims of a line: "Ann is 7 and Ben is 3"."""
DIGITS = dict(
    zip("zero one two three four five six seven eight nine ten eleven twelve".split(), range(13), strict=True)
)
RESULTS = frozenset(
    "it that this there answer total sum difference result count product x gap number value solution both together all "
    "largest smallest highest lowest maximum minimum biggest row column bar bars chart table picture figure legend "
    "room".split()
)
"""Words that name no thing of a figure: what they say is the answer, or what a sum has said already."""
SAME = {"minute hand": "long hand", "time": "clock"}
OF_IT = re.compile(r"(?:'s)? (?:bar|angle|side)$")
DAY = re.compile(r"^(mon|tue|wed|thu|fri|sat|sun)(?:s|nes|rs|ur)?day")
NOBODY = frozenset({"nobody", "nothing", "no one", "none of them"})
ITEM = re.compile(r"[a-z]+(?: [a-z]+){0,2}")


def named(claim: str) -> tuple[str, str] | None:
    """What a plain claim says of what."""
    match = NAMED.fullmatch(claim)
    return None if match is None else (match["name"], match["value"])


def truths(facts: Mapping[str, str], chain: tuple[str, ...]) -> dict[str, str]:
    """What may be claimed, by name: a figure's facts, and what a true chain finds."""
    found = dict(filter(None, (named(plain(step)) for step in chain)))
    return {name.lower(): value.lower() for name, value in facts.items()} | found


def checked(text: str, true: Mapping[str, str]) -> list[bool]:
    """Whether each claim is true, in order; lines that claim nothing are passed over."""
    sentences = (one for line in text.splitlines() for one in SENTENCES.split(plain(line)))
    return [found for sentence in sentences for found in _sentence(plain(sentence), true)]


def _sentence(sentence: str, true: Mapping[str, str]) -> Iterator[bool]:
    if (held := arithmetic(sentence)) is not None:
        yield held
        return
    for name, value in filter(None, map(named, PARTS.split(sentence))):
        held = arithmetic(value)
        yield from _claim(name, value, true) if held is None else (held,)


def _claim(name: str, value: str, true: Mapping[str, str]) -> Iterator[bool]:
    """Nothing for a name that no figure has, and for words where a number is known: prose says more than claims."""
    number, known = _number(value), _known(name, true)
    if known is None:
        result = RESULTS.intersection(name.split())
        if not result and any(_alike(name, other, number is not None, is_) for other, is_ in true.items()):
            yield False  # a thing that is not there, or another limit than the one that is asked for
    elif (is_ := _number(true[known])) is not None:
        if number is not None:
            yield number == is_
    elif true[known] != "x":
        claimed, there = _items(value), _items(true[known])
        if "left to right" not in known:
            claimed, there = sorted(claimed), sorted(there)
        if claimed == there:
            yield True
        elif all(map(ITEM.fullmatch, claimed)):
            yield False


def _known(name: str, true: Mapping[str, str]) -> str | None:
    """The name under which a figure has what a claim names."""
    bare = OF_IT.sub("", DAY.sub(r"\1", name.removeprefix("the ")))
    bare = SAME.get(bare, bare)
    names = (name, bare, f"the {bare}", re.sub(r"(?<=x)es$|s$", "", bare))
    return next((one for one in names if one in true), None)


def _alike(name: str, other: str, numbered: bool, value: str) -> bool:
    """Whether a name could be another thing's beside this one, of which a number is known: "leo" beside "mia", "leo's
    cats" beside "mia's cats"; or is this one with another number: "above 5" beside "above 4"."""
    if re.sub(r"\d+", "#", name) == re.sub(r"\d+", "#", other):
        return True
    words, known = name.split(), other.split()
    alike = len(words) == len(known) and "the" not in (words[0], known[0])
    return numbered and alike and _number(value) is not None


def _number(value: str) -> str | None:
    """The number or time that a value is, without leading zeros; None: it is another thing, or says more than that."""
    first, blank, rest = value.partition(" ")
    match = NUMBER.fullmatch(f"{DIGITS.get(first, first)}{blank}{rest}")
    return None if match is None else re.sub(r"^(-?)0+(?=\d)", r"\1", match[1])


def _items(value: str) -> list[str]:
    """What a list names, without articles and remarks."""
    value = re.sub(r" ?\([^)]*\)|\b(?:an?|the|one|then|only) ", "", value)
    return ["none" if item in NOBODY else item for item in re.split(r",? (?:and|&) |, | ?(?:->|→) ?", value)]
