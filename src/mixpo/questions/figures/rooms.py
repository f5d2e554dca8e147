"""Things on a floor in perspective: what is nearer stands lower and is larger."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import COLOURS, Canvas
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

SHAPES = ("ball", "box", "cone")
HORIZON = 30
LANES = (88, 66, 50)
"""Where things stand, from the nearest to the farthest lane."""
COLUMNS = 4
FAMILIES = ("count", "colour", "left", "nearest", "any")
WAYS = {
    "count": (
        "How many {x} are there?",
        "Count the {x} in the room.",
        "How many {x} stand on the floor?",
        "The children left their toys lying. How many {x} are among them?",
        "What is the number of {x}?",
        "How many of the things are {x}?",
        "Somebody wants all the {x}. How many are to be fetched?",
        "How many {x} can you see?",
    ),
    "colour": (
        "How many things are {c}?",
        "Count what is {c}. How many are there?",
        "How many {c} things stand on the floor?",
        "Leo likes {c}. How many of the things would he take?",
        "What is the number of {c} things?",
        "Of all the things, how many are {c}?",
        "How many things in the room have the colour {c}?",
        "If everything {c} is taken away, how many things go?",
    ),
    "left": (
        "How many things are to the left of the {a}?",
        "How many things stand farther left than the {a}?",
        "Count what lies to the left of the {a}. How many things are that?",
        "Look at the {a}. How many things are on its left?",
        "Seen from here, how many things come before the {a}, from the left?",
        "You read the room from left to right. How many things come before the {a}?",
        "How many of the things are more to the left than the {a}?",
        "Left of the {a}: how many things are there?",
    ),
    "nearest": (
        "Which thing is nearest to you?",
        "What stands at the very front?",
        "Which of them is the closest to the viewer?",
        "What would you stumble over first?",
        "Which thing is in front of all the others?",
        "What is the least far away?",
        "Walking into the room, what do you reach first?",
        "Which of the things has nothing before it?",
    ),
    "any": (
        "Is there any {y}?",
        "Can you see any {y}?",
        "Does any {y} stand in the room?",
        "Mia looks for her {y}. Is it here?",
        "Is the {y} among the things?",
        "Is one of the things the {y}?",
        "Would somebody who needs one {y} find it here?",
        "Has the room any {y}?",
    ),
}


@dataclass(frozen=True, order=True)
class Toy:
    """A thing in a column (0 is left) and a lane (0 is nearest)."""

    column: int
    lane: int
    colour: str
    shape: str

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Room(Figure):
    """Things from left to right, one in each column at most, their lanes all different but for the far ones."""

    things: tuple[Toy, ...]

    @property
    def nearest(self) -> Toy:
        return min(self.things, key=lambda thing: thing.lane)

    def facts(self) -> Mapping[str, str]:
        return {"from left to right": ", ".join(one.name for one in self.things), "at the front": self.nearest.name}

    def draw(self, canvas: Canvas) -> None:
        canvas.line((0, HORIZON), (100, HORIZON), width=0.6)
        for end in range(-40, 141, 20):
            canvas.line((50 + (end - 50) * 0.4, HORIZON), (end, 100), width=0.3)
        for thing in sorted(self.things, key=lambda one: -one.lane):
            ground = LANES[thing.lane]
            depth = (ground - HORIZON) / (100 - HORIZON)
            x, r = 50 + (thing.column - (COLUMNS - 1) / 2) * (12 + 14 * depth), 4 + 7 * depth
            _draw(canvas, thing, x, ground, r)


def _draw(canvas: Canvas, thing: Toy, x: float, ground: float, r: float) -> None:
    colour = COLOURS[thing.colour]
    if thing.shape == "ball":
        canvas.disc(x, ground - r, r, colour)
    elif thing.shape == "box":
        canvas.box(x - r * 0.9, ground - r * 1.8, x + r * 0.9, ground, colour)
    else:
        canvas.shape((x, ground - r * 2.1), (x + r, ground), (x - r, ground), colour=colour)


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    columns = sorted(rng.sample(range(COLUMNS), rng.choice((2, 3, 3, 4))))
    front = rng.choice(columns)
    palette = rng.sample(list(COLOURS), 3)
    things = tuple(
        Toy(column, 0 if column == front else rng.choice((1, 2)), rng.choice(palette), rng.choice(SHAPES))
        for column in columns
    )
    room = Room(things)
    names = [thing.name for thing in things]
    a = rng.choice(things)
    if len(set(names)) < len(names) and family in ("left", "nearest"):
        return make(rng, family, held_out)
    x, c = rng.choice((a.shape, rng.choice(SHAPES))), rng.choice((a.colour, rng.choice(palette)))
    y = rng.choice((a.name, f"{rng.choice(palette)} {rng.choice(SHAPES)}"))
    steps, answer = _worked(room, family, a, {"count": x, "colour": c}.get(family, y))
    plural = "boxes" if x == "box" else f"{x}s"
    text = said(rng, WAYS[family], held_out, x=plural, c=c, a=a.name, y=y)
    kinds = {"any": AnswerKind.YES_NO, "nearest": AnswerKind.CHOICE}
    return Problem(
        figure=room,
        family=f"room {family}",
        text=text,
        answer=answer,
        kind=kinds.get(family, AnswerKind.INTEGER),
        choices=tuple(names) if family == "nearest" else (),
        steps=steps,
    )


def _worked(room: Room, family: str, a: Toy, wanted: str) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    names = [thing.name for thing in room.things]
    row = f"From left to right: {', '.join(names)}."
    if family == "nearest":
        return (row, f"At the front: {room.nearest.name}."), "ABCD"[names.index(room.nearest.name)]
    if family == "any":
        return (row,), "yes" if wanted in names else "no"
    if family == "left":
        before = names[: room.things.index(a)]
        return (row, f"Before the {a.name}: {', '.join(before) or 'none'}."), str(len(before))
    fitting = [name for name in names if wanted in name.split()]
    return (row, f"Of them {wanted}: {', '.join(fitting) or 'none'}."), str(len(fitting))
