"""Bar charts of two series, told apart by a legend."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mixpo.questions.figures.canvas import COLOURS, Canvas
from mixpo.questions.figures.charts import HIGHEST, LABELS, draw_axis
from mixpo.questions.figures.problem import Figure, Problem, said
from mixpo.records import AnswerKind

SERIES = (("boys", "girls"), ("rain", "sun"), ("cars", "bikes"), ("old", "new"))
FAMILIES = ("read", "both", "gap", "series", "ahead")
WAYS = {
    "read": (
        "What is the value of {s} for {a}?",
        "How high is the {s} bar of {a}?",
        "Use the legend: what does {s} have for {a}?",
        "Look at {a}. What is the number for {s}?",
        "Read off {s} at {a}.",
        "For {a}, how many are {s}?",
        "What does the chart say of {s} and {a}?",
        "Which number belongs to {a} and {s}?",
    ),
    "both": (
        "How many are {s} and {t} together for {a}?",
        "What do both bars of {a} come to?",
        "Add {s} and {t} at {a}. What is the sum?",
        "{a} has two bars. What is their sum?",
        "At {a}, {s} and {t} are counted as one. How many is that?",
        "What is the total for {a}?",
        "Taking {s} and {t} together, what does {a} have?",
        "Put the two bars of {a} on top of each other. How high is that?",
    ),
    "gap": (
        "How far apart are {s} and {t} for {a}?",
        "What is the difference between the two bars of {a}?",
        "By how much do {s} and {t} differ at {a}?",
        "For {a}, one bar is higher. By how much?",
        "How large is the gap between {s} and {t} at {a}?",
        "At {a}, take the smaller value away from the larger. What is left?",
        "How much would have to be added to the lower bar of {a} to reach the other?",
        "{a} has a lower and a higher bar. What lies between them?",
    ),
    "series": (
        "What is the sum of all {s} bars?",
        "How many are {s} in all?",
        "Add up {s} over the whole chart. What do you get?",
        "Leave {t} aside. What does {s} come to?",
        "What is the total of {s}?",
        "All bars of {s} are put together. What is the sum?",
        "How much is {s}, everything taken together?",
        "If only {s} counts, what is the total?",
    ),
    "ahead": (
        "Is {s} higher than {t} for {a}?",
        "For {a}, is {s} above {t}?",
        "Does {s} beat {t} at {a}?",
        "Look at {a}: is there more of {s} than of {t}?",
        "At {a}, is the {s} bar the taller one?",
        "Does {a} have more {s} than {t}?",
        "Is it true that at {a} {t} is lower than {s}?",
        "Would you say that {s} leads at {a}?",
    ),
}


@dataclass(frozen=True)
class PairedChart(Figure):
    """Values from 1 to 10 of two series for two or three labels."""

    labels: tuple[str, ...]
    series: tuple[str, str]
    values: tuple[tuple[int, int], ...]
    colours: tuple[str, str]

    def facts(self) -> Mapping[str, str]:
        return {
            f"{label} {name}": str(value)
            for label, values in zip(self.labels, self.values, strict=True)
            for name, value in zip(self.series, values, strict=True)
        }

    def draw(self, canvas: Canvas) -> None:
        left, right, base, step = draw_axis(canvas, top=20.0)
        wide = (right - left) / len(self.labels)
        for number, (label, values) in enumerate(zip(self.labels, self.values, strict=True)):
            middle = left + wide * (number + 0.5)
            canvas.text(middle, base + 7, label, 0.8)
            for side, value, colour in zip((-1, 1), values, self.colours, strict=True):
                one, other = sorted((middle, middle + side * wide * 0.34))
                canvas.box(one, base - value * step, other, base, COLOURS[colour])
        for number, (name, colour) in enumerate(zip(self.series, self.colours, strict=True)):
            x = 20 + 42 * number
            canvas.box(x, 4, x + 8, 12, COLOURS[colour])
            canvas.text(x + 11, 8, name, 0.9, "lm")


def make(rng: random.Random, family: str, held_out: bool) -> Problem:
    """A problem of one of `FAMILIES`; `held_out`: in words that training never sees."""
    several = LABELS[rng.choice(list(LABELS))]
    labels = tuple(sorted(rng.sample(several, rng.choice((2, 3))), key=several.index))
    values = tuple((rng.randint(1, HIGHEST), rng.randint(1, HIGHEST)) for _ in labels)
    one, other = rng.sample(list(COLOURS), 2)
    chart = PairedChart(labels, rng.choice(SERIES), values, (one, other))
    a, s = rng.randrange(len(labels)), rng.randrange(2)
    if family == "gap" and len(set(values[a])) == 1:
        return make(rng, family, held_out)  # "one bar is higher"
    steps, answer = _worked(chart, family, a, s)
    return Problem(
        figure=chart,
        family=f"legend {family}",
        text=said(rng, WAYS[family], held_out, a=labels[a], s=chart.series[s], t=chart.series[1 - s]),
        answer=answer,
        kind=AnswerKind.YES_NO if family == "ahead" else AnswerKind.INTEGER,
        steps=steps,
    )


def _worked(chart: PairedChart, family: str, a: int, s: int) -> tuple[tuple[str, ...], str]:
    """The steps and the answer."""
    places = {"read": [(a, s)], "series": [(place, s) for place in range(len(chart.labels))]}
    cells = places.get(family, [(a, s), (a, 1 - s)])
    values = [chart.values[label][side] for label, side in cells]
    steps = [
        f"{chart.labels[label]} {chart.series[side]} is {value}."
        for (label, side), value in zip(cells, values, strict=True)
    ]
    if family == "read":
        return tuple(steps), str(values[0])
    if family == "ahead":
        sign = ">" if values[0] > values[1] else "<" if values[0] < values[1] else "="
        return (*steps, f"{values[0]} {sign} {values[1]}."), "yes" if sign == ">" else "no"
    if family == "gap":
        more, less = max(values), min(values)
        return (*steps, f"{more} - {less} = {more - less}."), str(more - less)
    return (*steps, f"{' + '.join(map(str, values))} = {sum(values)}."), str(sum(values))
