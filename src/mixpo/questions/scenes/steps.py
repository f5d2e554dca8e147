"""The steps of a chain of thought about a scene, each checked against what the picture truly holds.

A step is one claim of a sentence:

    b2 red star: red stars 1     what a cell holds; how many of a kind there are up to it, in reading order
    red bar 5                    a bar's height
    red stars 2, circles 3       the value of each term of the question
    2 + 3 = 5      2 > 3         arithmetic
    most is 3                    the largest value
    left of b2 is b1             the cell on a side
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from mixpo.questions.claims import RETHOUGHT, SUPPOSED, Read, Sums, sentences
from mixpo.questions.scenes.ask import SIDES, Task, Term, anchor_of, is_on_side, values_of
from mixpo.questions.scenes.scene import COLOURS, SHAPES, Grid, Scene, Thing

ANY = frozenset({"shape", "thing", "object"})
"""Words for a thing of whatever shape."""
COLOUR_WORDS = frozenset({*COLOURS, *"purple orange pink black white brown grey gray".split()})
SHAPE_WORDS = frozenset({*SHAPES, *"hexagon pentagon rectangle diamond heart cross oval arrow bar".split()})
"""Those that scenes have, and others that a model may see there."""
CELL = re.compile(r"([a-d])([1-4]):? (?:is |has )?(?:an? )?(?:([a-z]+ [a-z]+)|nothing|empty)(?:: (.+))?")
TALLY = re.compile(r"(?:([a-z]+) )?([a-z]+?)s?:? (\d{1,9})")
BAR = re.compile(r"(?:the )?([a-z]+) bar(?:: | is | )(\d{1,9})")
MOST = re.compile(r"(?:the )?most is (\d{1,9})")
SIDE = re.compile(rf"({'|'.join(SIDES)}) ([a-d])([1-4]) is ([a-d])(\d)")
PARTS = re.compile(r", (?:and )?| and ")
PREFIX = re.compile(r"^at a glance: ")


def read(text: str, scene: Scene, task: Task) -> Read:
    """The claims of a chain of thought, in order; what claims nothing of the kind is passed over. In doubt are sums of
    other numbers than the question's terms and the bars have. Raises LookupError and ValueError for a task that is not
    about the scene."""
    values = values_of(task, scene) + ([] if isinstance(scene, Grid) else [height for _, height in scene.bars])
    sums = Sums(map(Fraction, values))
    steps: list[bool] = []
    for sentence in sentences(text):
        if not SUPPOSED.search(sentence):
            steps += _sentence(PREFIX.sub("", sentence), scene, task)
            steps += sums.check(sentence)
    return Read(steps, sums.unfounded or RETHOUGHT.search(text) is not None)


def _sentence(sentence: str, scene: Scene, task: Task) -> Iterator[bool]:
    if match := CELL.fullmatch(sentence):
        yield from _cell(match, scene, task)
    elif match := MOST.fullmatch(sentence):
        yield bool(task.terms) and int(match[1]) == max(values_of(task, scene))
    elif match := SIDE.fullmatch(sentence):
        rows, columns = SIDES[match[1]]
        there = ("abcd".index(match[2]) + rows, int(match[3]) + columns)
        yield there == ("abcd".index(match[4]), int(match[5])) and 1 <= there[1] <= 4
    else:
        yield from _values(sentence, scene, task)


def _cell(match: re.Match, scene: Scene, task: Task) -> Iterator[bool]:
    row, column = "abcd".index(match[1]), int(match[2]) - 1
    there = scene.at(row, column) if isinstance(scene, Grid) else None
    colour, _, shape = (match[3] or "").partition(" ")
    if match[3] and not (colour in COLOUR_WORDS and shape in SHAPE_WORDS):
        return
    yield isinstance(scene, Grid) and (there.name if there else None) == match[3]
    if isinstance(scene, Grid) and match[4]:
        seen = [thing for thing in scene.things if (thing.row, thing.column) <= (row, column)]
        yield from _tallies(match[4], seen, scene, task)


def _values(line: str, scene: Scene, task: Task) -> Iterator[bool]:
    """`red stars 2, circles 3` or `red bar 5`."""
    if isinstance(scene, Grid):
        yield from _tallies(line, list(scene.things), scene, task)
        return
    heights = dict(scene.bars)
    for bar in filter(None, map(BAR.fullmatch, PARTS.split(line))):
        if bar[1] in COLOUR_WORDS:
            yield heights.get(bar[1]) == int(bar[2])


def _tallies(line: str, things: list[Thing], scene: Grid, task: Task) -> Iterator[bool]:
    for tally in filter(None, map(TALLY.fullmatch, PARTS.split(line))):
        colour, shape = tally[1], tally[2]
        if (colour is None or colour in COLOUR_WORDS) and shape in SHAPE_WORDS | ANY:
            yield int(tally[3]) == _count(Term(colour, None if shape in ANY else shape), things, scene, task)


def _count(term: Term, things: list[Thing], scene: Grid, task: Task) -> int:
    """How many of these things fit; for a question about one side, of those on that side."""
    if task.family == "beside":
        anchor = anchor_of(task, scene)
        things = [thing for thing in things if is_on_side(thing, task.side, anchor)]
    return sum(term.fits(thing) for thing in things)
