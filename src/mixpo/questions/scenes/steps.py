"""The steps of a chain of thought about a scene, each checked against what the picture truly holds.

A step is one claim of a line:

    b2 red star: red stars 1     what a cell holds; how many of a kind there are up to it, in reading order
    red bar 5                    a bar's height
    red stars 2, circles 3       the value of each term of the question
    2 + 3 = 5      2 > 3         arithmetic
    most is 3                    the largest value
    left of b2 is b1             the cell on a side
"""

import re
from collections.abc import Iterator

from mixpo.questions.scenes.ask import SIDES, Task, Term, anchor_of, is_on_side, values_of
from mixpo.questions.scenes.scene import COLOURS, SHAPES, Chart, Grid, Scene, Thing

COLOUR, SHAPE = "|".join(COLOURS), "|".join(SHAPES)
CELL = re.compile(rf"([a-d])([1-4]) (?:((?:{COLOUR}) (?:{SHAPE}))|(nothing))(?:: (.+))?")
TALLY = re.compile(rf"(?:({COLOUR}) )?({SHAPE}|shape)s (\d+)")
BAR = re.compile(rf"({COLOUR}) bar (\d+)")
SUM = re.compile(r"(-?\d+) ([+-]) (\d+) = (-?\d+)")
ORDER = re.compile(r"(\d+) ([<>=]) (\d+)")
MOST = re.compile(r"most is (\d+)")
SIDE = re.compile(rf"({'|'.join(SIDES)}) ([a-d])([1-4]) is ([a-d])([1-4])")
PREFIX = re.compile(r"^(?:At a glance:|\d+[.)]|[-*]\s)\s*")


def steps(text: str, scene: Scene, task: Task) -> list[bool]:
    """Whether each step that can be checked is true, in order; lines that claim nothing of the kind are passed over."""
    found: list[bool] = []
    for line in text.splitlines():
        found += _line(PREFIX.sub("", line.strip()).rstrip(" ."), scene, task)
    return found


def _line(line: str, scene: Scene, task: Task) -> Iterator[bool]:
    if match := CELL.fullmatch(line):
        yield from _cell(match, scene, task)
    elif match := SUM.fullmatch(line):
        left, sign, right, result = match.groups()
        yield int(left) + (int(right) if sign == "+" else -int(right)) == int(result)
    elif match := ORDER.fullmatch(line):
        left, right = int(match[1]), int(match[3])
        yield {"<": left < right, ">": left > right, "=": left == right}[match[2]]
    elif match := MOST.fullmatch(line):
        yield bool(task.terms) and int(match[1]) == max(values_of(task, scene))
    elif match := SIDE.fullmatch(line):
        rows, columns = SIDES[match[1]]
        there = ("abcd".index(match[2]) + rows, int(match[3]) + columns)
        yield there == ("abcd".index(match[4]), int(match[5]))
    else:
        yield from _values(line, scene, task)


def _cell(match: re.Match, scene: Scene, task: Task) -> Iterator[bool]:
    row, column = "abcd".index(match[1]), int(match[2]) - 1
    there = scene.at(row, column) if isinstance(scene, Grid) else None
    yield isinstance(scene, Grid) and (there.name if there else None) == match[3]
    if not isinstance(scene, Grid) or not match[5]:
        return
    for part in match[5].split(", "):
        tally = TALLY.fullmatch(part)
        if tally:
            seen = [thing for thing in scene.things if (thing.row, thing.column) <= (row, column)]
            yield int(tally[3]) == _count(_term(tally), seen, scene, task)


def _values(line: str, scene: Scene, task: Task) -> Iterator[bool]:
    """`red stars 2, circles 3` or `red bar 5`: yields nothing unless the whole line is of this form."""
    parts = line.split(", ")
    if isinstance(scene, Chart):
        bars = [BAR.fullmatch(part) for part in parts]
        if all(bars):
            heights = dict(scene.bars)
            yield from (heights.get(bar[1]) == int(bar[2]) for bar in bars if bar)
        return
    tallies = [TALLY.fullmatch(part) for part in parts]
    if all(tallies):
        things = list(scene.things)
        yield from (int(tally[3]) == _count(_term(tally), things, scene, task) for tally in tallies if tally)


def _term(tally: re.Match) -> Term:
    return Term(tally[1], None if tally[2] == "shape" else tally[2])


def _count(term: Term, things: list[Thing], scene: Grid, task: Task) -> int:
    """How many of these things fit; for a question about one side, of those on that side."""
    if task.family == "beside":
        anchor = anchor_of(task, scene)
        things = [thing for thing in things if is_on_side(thing, task.side, anchor)]
    return sum(term.fits(thing) for thing in things)
