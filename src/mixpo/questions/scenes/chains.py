"""Chains of thought about scenes: what the base model is shown in its supervised training.

Careful chains walk the cells in reading order, name what each holds and count on for each term that it
fits, so that each step needs local facts only. Hasty ones state the counts at a glance and
are often wrong: the habit that preference optimisation has to mend.
"""

import random

from mixpo.questions.scenes.ask import SIDES, Task, anchor_of, answer_from, is_on_side, neighbour_of, values_of
from mixpo.questions.scenes.scene import CELLS, COLOURS, SHAPES, Chart, Grid, Scene, Thing


def describe(scene: Scene) -> str:
    if isinstance(scene, Chart):
        return "\n".join(f"{colour} bar {height}" for colour, height in scene.bars)
    return "\n".join(f"{thing.cell} {thing.name}" for thing in scene.things)


def embellished(scene: Scene, rng: random.Random) -> str:
    """The description, and behind the last thing one or two that are not there, as captions tend to end.

    Objects that a model makes up stand mostly late in its text, where words weigh more than the picture (Zhou et al.,
    arXiv 2310.00754). Charts, and grids whose last cell is taken, are described as they are.
    """
    if isinstance(scene, Chart):
        return describe(scene)
    last = scene.things[-1]
    rest = range(last.row * CELLS + last.column + 1, CELLS * CELLS)
    cells = sorted(rng.sample(rest, min(len(rest), rng.choice((1, 1, 2)))))
    added = [Thing(*divmod(cell, CELLS), rng.choice(list(COLOURS)), rng.choice(SHAPES)) for cell in cells]
    return describe(Grid((*scene.things, *added)))


def careful(task: Task, scene: Scene) -> tuple[str, str]:
    """Chain and answer, both right."""
    if isinstance(scene, Chart):
        lines = describe(scene).split("\n")
    elif task.family == "neighbour":
        return _seek(task, scene)
    elif task.family == "beside":
        anchor = anchor_of(task, scene)
        lines = [f"{anchor.cell} {anchor.name}", *_walk(task, scene, anchor)]
    else:
        lines = _walk(task, scene)
    values = values_of(task, scene)
    return "\n".join(["Let me look closely.", *lines, conclude(task, scene, values)]), answer_from(task, values)


def _walk(task: Task, scene: Grid, anchor: Thing | None = None) -> list[str]:
    """A line for each thing; what it counts for stands behind it, with the count so far."""
    counts = dict.fromkeys(task.terms, 0)
    lines = []
    for thing in scene.things:
        fitting = [term for term in task.terms if term.fits(thing)]
        if anchor is not None and not is_on_side(thing, task.side, anchor):
            fitting = []
        for term in fitting:
            counts[term] += 1
        tallies = ", ".join(f"{term.name} {counts[term]}" for term in fitting)
        lines.append(f"{thing.cell} {thing.name}: {tallies}" if tallies else f"{thing.cell} {thing.name}")
    return lines


def _seek(task: Task, scene: Grid) -> tuple[str, str]:
    anchor, found = anchor_of(task, scene), neighbour_of(task, scene)
    answer = found.name if found else "nothing"
    cell = found.cell if found else _cell_beside(task, scene)
    return (
        f"Let me look closely.\n{anchor.cell} {anchor.name}\n{task.side} {anchor.cell} is {cell}\n{cell} {answer}",
        answer,
    )


def _cell_beside(task: Task, scene: Grid) -> str:
    anchor = anchor_of(task, scene)
    rows, columns = SIDES[task.side]
    return f"{'abcd'[anchor.row + rows]}{anchor.column + columns + 1}"


def conclude(task: Task, scene: Scene, values: list[int]) -> str:
    """The last lines of a chain: the value of each term, then how they make the answer."""
    names = [f"{term.colour} bar" if isinstance(scene, Chart) else term.name for term in task.terms]
    found = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
    if task.family == "compare":
        relation = ">" if values[0] > values[1] else "<" if values[0] < values[1] else "="
        return f"{found}\n{values[0]} {relation} {values[1]}"
    if task.family == "most":
        return f"{found}\nmost is {max(values)}"
    total, steps = values[0], []
    for sign, value in zip(task.signs[1:], values[1:], strict=True):
        steps.append(f"{total} {'+' if sign > 0 else '-'} {value} = {total + sign * value}")
        total += sign * value
    return "\n".join([found, *steps])


def _miss(rng: random.Random, slip: float, overlook: float) -> int:
    if overlook and rng.random() < overlook:
        return -1
    return rng.choice((-1, 1)) if rng.random() < slip else 0


def hasty(task: Task, scene: Scene, rng: random.Random, slip: float, overlook: float = 0.0) -> tuple[str, str]:
    """Chain and answer from values stated at a glance: each is one too small with probability `overlook`, else off by
    one either way with probability `slip`."""
    if task.family == "neighbour":
        assert isinstance(scene, Grid)
        found = neighbour_of(task, scene)
        right = found.name if found else "nothing"
        names = ["nothing", *(thing.name for thing in scene.things)]
        answer = rng.choice(names) if rng.random() < slip else right
        return f"At a glance: {answer}", answer
    values = [max(0, value + _miss(rng, slip, overlook)) for value in values_of(task, scene)]
    return f"At a glance: {conclude(task, scene, values)}", answer_from(task, values)
