"""Questions about a scene, with their truth: what a chain of thought has to work out."""

import random
from dataclasses import dataclass

from mixpo.questions.scenes.scene import COLOURS, SHAPES, Chart, Grid, Scene, Thing
from mixpo.records import AnswerKind

SIDES = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}


@dataclass(frozen=True, slots=True)
class Term:
    """What is counted: shapes of a colour, of a form, or of both; in a chart, the bar of a colour."""

    colour: str | None
    shape: str | None

    @property
    def name(self) -> str:
        if self.shape is None:
            return f"{self.colour} shapes"
        return f"{self.colour} {self.shape}s" if self.colour else f"{self.shape}s"

    def fits(self, thing: Thing) -> bool:
        return self.colour in (None, thing.colour) and self.shape in (None, thing.shape)

    def value(self, scene: Scene) -> int:
        if isinstance(scene, Chart):
            return dict(scene.bars)[self.colour or ""]
        return sum(self.fits(thing) for thing in scene.things)


@dataclass(frozen=True, slots=True)
class Task:
    """A question's meaning, kept in `Question.meta["task"]`: its truth and its chains follow from it."""

    family: str
    """sum (signed sum of terms), compare, most, neighbour, beside, describe."""
    terms: tuple[Term, ...] = ()
    signs: tuple[int, ...] = ()
    """+1 or -1 for each term of a sum."""
    side: str = ""
    """For neighbour and beside: left of, right of, above, below."""
    anchor: str = ""
    """For neighbour and beside: the name of the one thing it is seen from, "red star"."""

    def state(self) -> dict:
        return {
            "family": self.family,
            "terms": [[term.colour, term.shape] for term in self.terms],
            "signs": list(self.signs),
            "side": self.side,
            "anchor": self.anchor,
        }

    @property
    def steps(self) -> int:
        """Length of the chain: values to find and put together."""
        return max(1, len(self.terms)) + (self.family in ("beside", "neighbour"))


def task_from_state(state: dict) -> Task:
    return Task(
        state["family"],
        tuple(Term(*term) for term in state["terms"]),
        tuple(state["signs"]),
        state["side"],
        state["anchor"],
    )


def make_task(rng: random.Random, scene: Scene, family: str, steps: int) -> Task | None:
    """A task of `family` about the scene; None when the scene has no such question."""
    if family in ("neighbour", "beside"):
        return _make_spatial(rng, scene, family) if isinstance(scene, Grid) else None
    if family == "describe":
        return Task("describe")
    count = {"sum": steps, "compare": 2, "most": 3}[family]
    terms = _pick_terms(rng, scene, count)
    if terms is None:
        return None
    if family == "most":
        values = sorted(term.value(scene) for term in terms)
        if values[-1] == values[-2]:
            return None
    signs = (1, *(rng.choice((1, -1)) for _ in range(count - 1))) if family == "sum" else ()
    return Task(family, terms, signs)


def _pick_terms(rng: random.Random, scene: Scene, count: int) -> tuple[Term, ...] | None:
    if isinstance(scene, Chart):
        colours = [colour for colour, _ in scene.bars]
        return tuple(Term(colour, None) for colour in rng.sample(colours, count)) if count <= len(colours) else None
    terms: list[Term] = []
    while len(terms) < count:
        # Mostly what is there, sometimes what is not: "0" must be an answer too.
        seen = rng.choice(scene.things)
        colour, shape = seen.colour, seen.shape
        if rng.random() < 0.2:
            colour, shape = rng.choice(list(COLOURS)), rng.choice(SHAPES)
        term = rng.choice([Term(colour, shape), Term(colour, shape), Term(None, shape), Term(colour, None)])
        if term not in terms:
            terms.append(term)
    return tuple(terms)


def _make_spatial(rng: random.Random, scene: Grid, family: str) -> Task | None:
    names = [thing.name for thing in scene.things]
    single = [thing for thing in scene.things if names.count(thing.name) == 1]
    if not single:
        return None
    anchor = rng.choice(single)
    side = rng.choice(list(SIDES))
    if family == "beside":
        return Task("beside", _pick_terms(rng, scene, 1) or (), (), side, anchor.name)
    row, column = anchor.row + SIDES[side][0], anchor.column + SIDES[side][1]
    return Task("neighbour", (), (), side, anchor.name) if 0 <= row < 4 and 0 <= column < 4 else None


def anchor_of(task: Task, scene: Grid) -> Thing:
    """Raises KeyError when it is not in the scene."""
    return {thing.name: thing for thing in scene.things}[task.anchor]


def is_on_side(thing: Thing, side: str, anchor: Thing) -> bool:
    rows, columns = SIDES[side]
    return (thing.row - anchor.row) * rows + (thing.column - anchor.column) * columns > 0


def neighbour_of(task: Task, scene: Grid) -> Thing | None:
    anchor = anchor_of(task, scene)
    rows, columns = SIDES[task.side]
    return scene.at(anchor.row + rows, anchor.column + columns)


def values_of(task: Task, scene: Scene) -> list[int]:
    """The true value of each term. Raises LookupError and ValueError for a side of what the scene has not."""
    if task.family == "beside":
        if not isinstance(scene, Grid):
            raise ValueError("a chart has no sides")
        anchor = anchor_of(task, scene)
        return [sum(task.terms[0].fits(thing) and is_on_side(thing, task.side, anchor) for thing in scene.things)]
    return [term.value(scene) for term in task.terms]


def answer_from(task: Task, values: list[int]) -> str:
    """The answer that follows from the terms' values (true ones or guessed ones)."""
    if task.family == "sum":
        return str(sum(sign * value for sign, value in zip(task.signs, values, strict=True)))
    if task.family == "compare":
        return "yes" if values[0] > values[1] else "no"
    if task.family == "most":
        return "ABC"[values.index(max(values))]
    return str(values[0])


def truth(task: Task, scene: Scene) -> str | None:
    if task.family == "describe":
        return None
    if task.family == "neighbour":
        assert isinstance(scene, Grid)
        found = neighbour_of(task, scene)
        return found.name if found else "nothing"
    return answer_from(task, values_of(task, scene))


def wording(task: Task, scene: Scene) -> str:
    """The question's text, choices included."""
    chart = isinstance(scene, Chart)
    names = [f"{term.colour} bar" if chart else term.name for term in task.terms]
    if task.family == "describe":
        return "Describe the chart." if chart else "Describe the picture."
    if task.family == "neighbour":
        return f"What is directly {task.side} the {task.anchor}?"
    if task.family == "beside":
        return f"How many {names[0]} are {task.side} the {task.anchor}?"
    if task.family == "compare":
        return (
            f"Is the {names[0]} taller than the {names[1]}?" if chart else f"Are there more {names[0]} than {names[1]}?"
        )
    if task.family == "most":
        return "Which bar is the tallest?" if chart else "Which are there most of?"
    if len(names) == 1:
        return f"How tall is the {names[0]}?" if chart else f"How many {names[0]} are there?"
    signed = "".join(
        f" {'plus' if sign > 0 else 'minus'} {name}" for sign, name in zip(task.signs[1:], names[1:], strict=True)
    )
    return f"What is the {'height' if chart else 'number'} of {names[0]}{signed}?"


def choices_of(task: Task, scene: Scene) -> tuple[str, ...]:
    if task.family != "most":
        return ()
    return tuple(f"{term.colour} bar" if isinstance(scene, Chart) else term.name for term in task.terms)


def kind_of(task: Task) -> AnswerKind:
    return {
        "sum": AnswerKind.INTEGER,
        "beside": AnswerKind.INTEGER,
        "compare": AnswerKind.YES_NO,
        "most": AnswerKind.CHOICE,
        "neighbour": AnswerKind.TEXT,
        "describe": AnswerKind.FREE_FORM,
    }[task.family]


def category_of(task: Task, scene: Scene) -> str:
    """The group under which accuracy is reported."""
    if isinstance(scene, Chart):
        return "describe" if task.family == "describe" else "chart"
    if task.family != "sum":
        return task.family
    if len(task.terms) == 1:
        return "count"
    if len(task.terms) == 2:
        return "sum" if task.signs[1] > 0 else "difference"
    return f"chain of {len(task.terms)}"
