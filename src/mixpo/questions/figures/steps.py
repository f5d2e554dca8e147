"""The steps of a chain of thought about a drawn figure, each checked against what the figure truly holds.

A step is one claim of a sentence:

    Mia is 7.    Above 5: Ann, Leo.     what is read off, or found, under a name
    7 + 4 = 11.  7 > 4.                 arithmetic, with numbers of the figure, of the question, or found before

What a claim says must be clear: words that may mean something else ("Mia is 4 more than Leo") claim nothing, and leave
it in doubt whether all is right.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from mixpo.number_words import UNITS
from mixpo.questions.claims import ORDER, RETHOUGHT, SUM, SUPPOSED, Read, Sums, numbers_in, plain, sentences
from mixpo.questions.figures.names import TOY, Key, Names

STEP = re.compile(r"(?P<name>[^\d\W][\w' ]*?)(?: is |: )(?P<value>\S.*)")
"""As a figure's own chain says what it finds."""
SAYS = (
    r"(?: (?:is|are|has|have|had|with|shows|equals|stands) (?:at )?| (?:is )?(?:points|pointing) (?:to|at) | ?[:=] ?"
    r"| - | at | (?:reaches|goes|rises|lines) (?:up )?(?:to |with )?| there (?:is|are) )"
    r"(?:(?:the |an? )?(?:value|height|length) (?:of )?)?(?:the )?(?:only |just |exactly )?"
)
VALUE = rf"(?P<number>-?\d{{1,9}}(?::\d{{1,2}})?|{'|'.join(UNITS)})(?:\.0+)?"
UNIT = (
    r"(?P<unit> ?(?:°|[ckm]?m|[ap]\.?m|degree|fish)"
    r"| (?!(?:plus|minus|times|bars|rows|columns|tens|dozens|hundreds)\b)[a-z]+s)?(?: (?:tall|high|long|wide))?"
)
READING = re.compile(rf"(?P<name>[^\d\W][\w' ]{{0,60}}?){SAYS}{VALUE}{UNIT}(?: [<>]=? .*)?")
WORKED_OUT = re.compile(rf"(?P<name>[^\d\W][\w' ]{{0,60}}?){SAYS}(?P<sum>\d+ [+*/-] .* = (?P<number>\d+)){UNIT}")
LISTED = re.compile(r"(?P<name>[^\d\W][\w' ]{0,60}?)(?: is | are |: ?| = )(?:only )?(?P<value>[^\d\W].*)")
MORE = re.compile(rf"{VALUE} (?P<unit>[a-z]+s)")
REMARK = re.compile(r" ?\([^()]{0,80}\)| ?!")
"""Beside a claim: "Ann is 7 (the tallest)"."""
CONCLUSION = re.compile(r",? (?:so|thus|hence|therefore|which) .*|;.*")
PARTS = re.compile(r"(,? (?:and|but|while|whereas|that|so|then|because|since|where)|[,;]| ?(?:->|=>|[→⇒])) ")
INTRODUCED = re.compile(r"[a-z][a-z ']{0,60}: (?=[a-z])")
"""Before a claim: "From the chart: Ann is 7"."""
COMPARED = re.compile(r"\b(?:more|less|fewer|[a-z]{2,}er) than\b")
CONSTANTS = {"the clock": (*range(13), 60), "the width": (2,), "the top": (180,)}
"""Numbers that sums about a figure need, by one of its names."""


def truths(facts: Mapping[str, str], chain: tuple[str, ...]) -> dict[str, str]:
    """What may be claimed, by name: a figure's facts, and what a true chain finds."""
    found = (match for step in chain if (match := STEP.fullmatch(plain(step))))
    return {name.lower(): value.lower() for name, value in facts.items()} | {one["name"]: one["value"] for one in found}


def read(text: str, true: Mapping[str, str], question: str = "", chain: Sequence[str] = ()) -> Read:
    """The claims of a chain of thought; sentences that claim nothing are passed over.

    `question`: its words and its answer. Sums may use its numbers, those of a true `chain` (none: all that the figure
    has), and what they find. In doubt is what says another number, compares in words, or names a thing and a number in
    words that are not read: something may have been misread there.
    """
    names, sums = Names(true, text.lower(), question), Sums(_known(true, question, chain))
    steps: list[bool] = []
    doubtful, seen = RETHOUGHT.search(text) is not None, set[Fraction]()
    for sentence in sentences(text):
        if SUPPOSED.search(sentence):
            doubtful |= _says_something(sentence, names)
            continue
        listed, (readings, unread) = _listed(sentence, names), _readings(sentence, names)
        steps += readings if listed is None else listed
        steps += sums.check(sentence)
        doubtful |= COMPARED.search(sentence) is not None or (unread if listed is None else not listed)
        seen.update(numbers_in(sentence))
    there = sums.known | _known(true, question, ()) | set(map(Fraction, range(3)))
    return Read(steps, doubtful or sums.unfounded or not seen <= there)


def _known(true: Mapping[str, str], question: str, chain: Sequence[str]) -> set[Fraction]:
    """Numbers that sums may begin with."""
    constants = (number for name, numbers in CONSTANTS.items() if name in true for number in numbers)
    said = (*(chain or true.values()), *true, question)
    return {number for words in said for number in numbers_in(words)} | set(map(Fraction, constants))


def _listed(sentence: str, names: Names) -> list[bool] | None:
    """What is found under a name: "Above 5: Ann, Leo"; []: cannot be told; None: it is no such sentence."""
    row = names.lists.get(names.key("from left to right"))
    if row is not None and "left to right" in sentence and TOY.findall(sentence) == TOY.findall(row):
        return [True]
    match = LISTED.fullmatch(REMARK.sub("", CONCLUSION.sub("", sentence)))
    if match is None:
        return None
    key = names.key(match["name"])
    asked = key if key in names.lists else next((one for one in names.lists if _but_for_numbers(one, key)), None)
    if asked is None:
        return None
    claimed = names.items(match["value"])
    if claimed is None:
        return []
    there = names.items(names.lists[asked]) or []
    if "them" in asked:  # "Of them red: ball"
        claimed = [item if item == {"none"} else item | asked - {"them"} for item in claimed]
    if "left" not in asked:
        claimed, there = sorted(claimed, key=sorted), sorted(there, key=sorted)
    return [asked == key and claimed == there]


def _but_for_numbers(one: Key, other: Key) -> bool:
    """Another limit than the one that is asked for: "above 4" beside "above 5"."""
    return one != other and len(one) == len(other) and all(word.isdigit() for word in one ^ other)


def _readings(sentence: str, names: Names) -> tuple[list[bool], bool]:
    """What is read off under each name, part by part, and whether a part names a thing and a number in other words.

    After "and", and after a bare name and a comma, a part is no reading: "Ann and Ben: 9" and "the sum of Ann and Ben
    is 9" say nothing of Ben. It is one where the part before was, or names nothing.
    """
    found: list[bool] = []
    unread = any(_says_something(remark, names) for remark in REMARK.findall(sentence))
    before, clear = "", True
    for sign, part, match in _parts(sentence, names):
        named = names.key(before)
        if match and (clear or not (named & names.words if sign.endswith("and") else named in names.values)):
            found += _claim(match, names)
        elif not (SUM.search(part) or ORDER.search(part)):
            unread |= _says_something(part, names)
        before, clear = part, match is not None
    return found, unread


def _says_something(part: str, names: Names) -> bool:
    return re.search(r"\d", part) is not None and not names.words.isdisjoint(names.key(part))


def _parts(sentence: str, names: Names) -> Iterator[tuple[str, str, re.Match | None]]:
    """What joins each part to the one before, the part, and the reading that it is. "Ann has 3 cats and 4 pens" is of
    two readings of a table."""
    pieces, subject = PARTS.split(REMARK.sub("", sentence)), ""
    for sign, part in zip(["", *pieces[1::2]], map(plain, pieces[::2]), strict=True):
        more = MORE.fullmatch(part)
        if subject and more and frozenset() < names.key(more["unit"]) < names.found(subject, more["unit"]):
            part = f"{subject} has {part}"
        match = _reading(part) or _reading(INTRODUCED.sub("", part, count=1))
        subject = match["name"] if match else subject
        yield sign, part, match


def _reading(part: str) -> re.Match | None:
    return READING.fullmatch(part) or WORKED_OUT.fullmatch(part)


def _claim(match: re.Match, names: Names) -> Iterator[bool]:
    """Nothing for a name that no figure has; and for a sum with the true number in it: that is no reading."""
    key, number = names.found(match["name"], match["unit"] or ""), match["number"]
    number = str(UNITS.index(number)) if number in UNITS else re.sub(r"^(-?)0+(?=\d)", r"\1", number)
    if names.is_another(key):
        yield False
    elif key in names.values and (":" in number) == any(":" in value for value in names.values[key]):
        holds = any(_same(number, value) for value in names.values[key])
        if holds or "sum" not in match.groupdict() or not _mentions(match["sum"], names.values[key]):
            yield holds


def _mentions(text: str, values: Collection[str]) -> bool:
    return any(number in numbers_in(text) for value in values for number in numbers_in(value))


def _same(number: str, value: str) -> bool:
    """Times on a dial: 15:20 is 3:20."""
    hours, colon, minutes = number.partition(":")
    return number == value or (colon != "" and f"{(int(hours) - 1) % 12 + 1}:{minutes}" == value)
