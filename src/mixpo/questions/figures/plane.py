"""Plane geometry: rectangles, squares and triangles with lengths and angles written beside them."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import COLOURS, Canvas
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

FAMILIES = ("perimeter", "area", "angle", "sides")
WAYS = {
    "perimeter": (
        "What is the perimeter of the {shape}?",
        "How long is the way around the {shape}?",
        "An ant walks once around the {shape}. How far does it walk?",
        "Add up all sides of the {shape}. What is the sum?",
        "A fence goes around the {shape}. How long is it?",
        "How long is the outline of the {shape}?",
        "A ribbon is laid along all sides of the {shape}. How long must it be?",
        "Once around the {shape}: what length is that?",
    ),
    "area": (
        "What is the area of the {shape}?",
        "How large is the {shape}?",
        "The {shape} is paved with stones of 1 by 1. How many are needed?",
        "Work out the area of the {shape}.",
        "How many unit squares fit into the {shape}?",
        "What area does the {shape} cover?",
        "How many tiles with sides of 1 cover the {shape}?",
        "A garden looks like this {shape}. How large is its ground?",
    ),
    "angle": (
        "How large is the angle x, in degrees?",
        "What is x?",
        "Two angles of the triangle are given. How many degrees has the third one?",
        "Find the missing angle, in degrees.",
        "The angles of a triangle come to 180 degrees. What is x?",
        "Which number belongs in the place of x?",
        "How many degrees are left for the angle x?",
        "One angle is called x. How large must it be?",
    ),
    "sides": (
        "How much longer is the longest side than the shortest?",
        "What is the difference between the longest and the shortest side?",
        "By how much does the longest side exceed the shortest?",
        "Take the shortest side away from the longest. What is left?",
        "The longest side is cut to the length of the shortest. How much is cut off?",
        "How far is the shortest side from being as long as the longest?",
        "What must be added to the shortest side to make it as long as the longest?",
        "Compare the longest with the shortest side: how much longer is it?",
    ),
}


@dataclass(frozen=True)
class Rectangle(Figure):
    """Its sides are written above and to the left of it."""

    width: int
    height: int
    colour: str

    @property
    def name(self) -> str:
        return "square" if self.width == self.height else "rectangle"

    def facts(self) -> Mapping[str, str]:
        return {"the width": str(self.width), "the height": str(self.height)}

    def draw(self, canvas: Canvas) -> None:
        scale = 66 / max(self.width, self.height)
        left, top = 58 - self.width * scale / 2, 56 - self.height * scale / 2
        canvas.box(left, top, left + self.width * scale, top + self.height * scale, COLOURS[self.colour])
        canvas.text(58, top - 7, str(self.width), 1.2)
        canvas.text(left - 6, 56, str(self.height), 1.2, "rm")


@dataclass(frozen=True)
class Triangle(Figure):
    """Three lengths on its sides, or three angles in its corners, of which one is called x; not drawn to scale."""

    numbers: tuple[int, int, int]
    angles: bool

    def facts(self) -> Mapping[str, str]:
        names = ("the left", "the right", "the top") if self.angles else ("the left", "the right", "the base")
        shown = dict(zip(names, map(str, self.numbers), strict=True))
        return {**shown, "the top": "x"} if self.angles else shown

    def draw(self, canvas: Canvas) -> None:
        top, left, right = (48, 10), (8, 88), (92, 88)
        canvas.shape(top, left, right, colour=canvas.look.paper)
        one, two, three = map(str, self.numbers)
        if self.angles:
            canvas.text(24, 80, one, 1.1)
            canvas.text(75, 80, two, 1.1)
            canvas.text(48, 32, "x", 1.3)
        else:
            canvas.text(20, 44, one, 1.2)
            canvas.text(78, 44, two, 1.2)
            canvas.text(50, 95, three, 1.2)


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    figure: Rectangle | Triangle
    if family == "angle":
        one, two = 5 * rng.randint(4, 16), 5 * rng.randint(4, 16)
        figure = Triangle((one, two, 180 - one - two), angles=True)
    elif family == "sides" or (family == "perimeter" and rng.random() < 0.5):
        figure = _triangle(rng)
    else:
        width = rng.randint(2, 9)
        figure = Rectangle(width, width if rng.random() < 0.2 else rng.randint(2, 9), rng.choice(list(COLOURS)))
    shape = "triangle" if isinstance(figure, Triangle) else figure.name
    steps, answer = _worked(figure, family)
    return Problem(
        figure=figure,
        family=f"geometry {family}",
        text=said(rng, WAYS[family], held_out, shape=shape),
        answer=answer,
        kind=AnswerKind.INTEGER,
        steps=steps,
    )


def _triangle(rng: random.Random) -> Triangle:
    while True:
        sides = (rng.randint(3, 9), rng.randint(3, 9), rng.randint(3, 9))
        if 2 * max(sides) < sum(sides) and max(sides) > min(sides):
            return Triangle(sides, angles=False)


def _worked(figure: Rectangle | Triangle, family: str) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    read = [f"{name[0].upper()}{name[1:]} is {value}." for name, value in figure.facts().items() if value != "x"]
    numbers = [int(value) for value in figure.facts().values() if value != "x"]
    if family == "area":
        return (*read, f"{numbers[0]} * {numbers[1]} = {numbers[0] * numbers[1]}."), str(numbers[0] * numbers[1])
    if family == "sides":
        left = max(numbers) - min(numbers)
        return (*read, f"{max(numbers)} - {min(numbers)} = {left}."), str(left)
    total = sum(numbers)
    added = f"{' + '.join(map(str, numbers))} = {total}."
    if family == "angle":
        return (*read, added, f"180 - {total} = {180 - total}."), str(180 - total)
    if isinstance(figure, Rectangle):
        return (*read, added, f"2 * {total} = {2 * total}."), str(2 * total)
    return (*read, added), str(total)
