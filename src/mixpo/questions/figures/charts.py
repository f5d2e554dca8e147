"""Bar and line charts of one series."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import COLOURS, Canvas
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

HIGHEST = 10
LABELS = {
    "day": ("Mon", "Tue", "Wed", "Thu", "Fri"),
    "child": ("Ann", "Ben", "Eva", "Leo", "Mia"),
    "town": ("Bonn", "Lyon", "Oslo", "Rome", "Turin"),
}
THINGS = ("apples", "books", "cups", "letters", "coins", "stamps", "fish", "tickets")
FAMILIES = ("read", "sum", "difference", "compare", "most", "total", "above", "range")
"""`range` is the one that a training leaves out."""
WAYS = {
    "read": (
        "What is the number of {things} for {a}?",
        "How many {things} does the chart show for {a}?",
        "The chart shows {things}. What is the value for {a}?",
        "Read off {a}: how many {things}?",
        "Look at {a} in the chart. How many {things} are there?",
        "For {a}, how many {things} were counted?",
        "Somebody counted {things} and drew this chart. What did they count for {a}?",
        "What value has {a}?",
    ),
    "sum": (
        "How many {things} do {a} and {b} have together?",
        "What is the sum of {a} and {b}?",
        "Add the {things} for {a} to those for {b}. What do you get?",
        "The {things} of {a} and of {b} are put into one bag. How many are in it?",
        "What do {a} and {b} come to, taken together?",
        "If you count both {a} and {b}, how many {things} are there?",
        "How many {things} are there for {a} and {b} in all?",
        "{a} and {b} share a shelf for their {things}. How many lie on it?",
    ),
    "difference": (
        "How many more {things} are there for {a} than for {b}?",
        "By how much is {a} above {b}?",
        "What is the difference between {a} and {b}?",
        "{b} wants as many {things} as {a}. How many are missing?",
        "Take the {things} for {b} away from those for {a}. What is left?",
        "How much higher is the value for {a} than that for {b}?",
        "How many {things} does {b} lack to be equal with {a}?",
        "{a} is ahead of {b}. By how many {things}?",
    ),
    "compare": (
        "Are there more {things} for {a} than for {b}?",
        "Is the value for {a} higher than that for {b}?",
        "Does {a} have more {things} than {b}?",
        "Is {a} above {b}?",
        "Somebody says that {a} has more {things} than {b}. Is that so?",
        "Would you say that {a} beats {b}?",
        "Is it true that {b} has fewer {things} than {a}?",
        "Does {a} stand higher in the chart than {b}?",
    ),
    "most": (
        "Which has the most {things}?",
        "Which of them is the highest?",
        "Where were the most {things} counted?",
        "Which has the largest value?",
        "Which one leads in {things}?",
        "Of which are there the most {things}?",
        "Who or what comes first in {things}?",
        "Which one would win a contest in {things}?",
    ),
    "total": (
        "How many {things} are there in all?",
        "What is the total of the chart?",
        "Add up all the {things}. What is the sum?",
        "All {things} are put together. How many are there?",
        "What do all the values come to?",
        "How many {things} were counted altogether?",
        "Count every one of the {things} in the chart. How many?",
        "If nothing is left out, how many {things} does the chart show?",
    ),
    "above": (
        "How many of them are above {n}?",
        "How many have more than {n} {things}?",
        "Count those with a value higher than {n}. How many are there?",
        "For how many is the number of {things} greater than {n}?",
        "How many values are larger than {n}?",
        "How many beat {n} {things}?",
        "In how many cases were more than {n} {things} counted?",
        "How many go beyond {n}?",
    ),
    "range": (
        "What is the difference between the largest and the smallest value?",
        "How far apart are the highest and the lowest?",
        "By how many {things} does the best differ from the worst?",
        "How many {things} lie between the largest and the smallest value?",
    ),
}


def draw_axis(canvas: Canvas, top: float) -> tuple[float, float, float, float]:
    """Draws both axes; the left and right end, the base line, and the height of 1."""
    left, right, base = 16.0, 97.0, 84.0
    step = (base - top) / HIGHEST
    for tick in range(0, HIGHEST + 1, 2):
        canvas.text(left - 3, base - tick * step, str(tick), 0.85, "rm")
        canvas.line((left - 2, base - tick * step), (left, base - tick * step), width=0.6)
    canvas.line((left, top), (left, base), (right, base), width=0.8)
    return left, right, base, step


@dataclass(frozen=True)
class SingleChart(Figure):
    """Values from 1 to 10 for three or four labels, as bars or joined by a line."""

    labels: tuple[str, ...]
    values: tuple[int, ...]
    colours: tuple[str, ...]
    lines: bool = False

    def facts(self) -> Mapping[str, str]:
        return {label: str(value) for label, value in zip(self.labels, self.values, strict=True)}

    def draw(self, canvas: Canvas) -> None:
        left, right, base, step = draw_axis(canvas, top=8.0)
        wide = (right - left) / len(self.labels)
        places = [left + wide * (number + 0.5) for number in range(len(self.labels))]
        for x, label in zip(places, self.labels, strict=True):
            canvas.text(x, base + 7, label, 0.8)
        heights = [base - value * step for value in self.values]
        if self.lines:
            canvas.line(*zip(places, heights, strict=True), colour=COLOURS[self.colours[0]], width=1.6)
        for x, y, colour in zip(places, heights, self.colours, strict=True):
            if self.lines:
                canvas.disc(x, y, 2.4, COLOURS[self.colours[0]])
            else:
                canvas.box(x - wide * 0.32, y, x + wide * 0.32, base, COLOURS[colour])


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    several = LABELS[rng.choice(list(LABELS))]
    labels = tuple(sorted(rng.sample(several, rng.choice((3, 4, 4))), key=several.index))
    values = tuple(rng.randint(1, HIGHEST) for _ in labels)
    if family in ("most", "range") and sorted(values).count(max(values)) > 1:
        return make(rng, family, held_out)
    lines = rng.random() < 0.3
    colours = tuple(rng.choices(list(COLOURS), k=len(labels)))
    # A line has one colour: others, that nobody sees, would put the same picture into two splits.
    chart = SingleChart(labels, values, colours[:1] * len(labels) if lines else colours, lines)
    a, b = sorted(rng.sample(range(len(labels)), 2), key=lambda place: -values[place])
    if family == "difference" and values[a] == values[b]:
        return make(rng, family, held_out)
    if family == "compare" and rng.random() < 0.5:
        a, b = b, a
    n = rng.randint(2, HIGHEST - 2)
    words = {"things": rng.choice(THINGS), "a": labels[a], "b": labels[b], "n": n}
    steps, answer = _worked(family, labels, values, (a, b), n)
    kinds = {"compare": AnswerKind.YES_NO, "most": AnswerKind.CHOICE}
    return Problem(
        figure=chart,
        family=f"chart {family}",
        text=said(rng, WAYS[family], held_out, **words),
        answer=answer,
        kind=kinds.get(family, AnswerKind.INTEGER),
        choices=labels if family == "most" else (),
        steps=steps,
    )


def _worked(
    family: str, labels: tuple[str, ...], values: tuple[int, ...], pair: tuple[int, int], n: int
) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    a, b = pair
    read = {"read": (a,), "sum": pair, "difference": pair, "compare": pair}.get(family, tuple(range(len(labels))))
    steps = [f"{labels[place]} is {values[place]}." for place in read]
    one, other = values[a], values[b]
    if family == "read":
        return tuple(steps), str(one)
    if family == "compare":
        return (*steps, f"{one} {'>' if one > other else '<' if one < other else '='} {other}."), (
            "yes" if one > other else "no"
        )
    if family == "most":
        return (*steps, f"The largest is {max(values)}."), "ABCDE"[values.index(max(values))]
    if family == "above":
        over = [labels[place] for place, value in enumerate(values) if value > n]
        return (*steps, f"Above {n}: {', '.join(over) or 'none'}."), str(len(over))
    if family == "range":
        return (*steps, f"{max(values)} - {min(values)} = {max(values) - min(values)}."), str(max(values) - min(values))
    if family == "difference":
        return (*steps, f"{one} - {other} = {one - other}."), str(one - other)
    total, sums = values[read[0]], []
    for place in read[1:]:
        sums.append(f"{total} + {values[place]} = {total + values[place]}.")
        total += values[place]
    return (*steps, *sums), str(total)
