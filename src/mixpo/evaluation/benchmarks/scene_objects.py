"""Hallucination in descriptions of scenes: objects that are named and are not there.

After CHAIR (Rohrbach et al. 2018, arXiv 1809.02156): per object named (CHAIR_i) and per description (CHAIR_s), with
the truth known instead of annotated. Since saying nothing would be free of error, the share of objects that are named
stands beside them.
"""

import re

from mixpo.evaluation.metrics import Answered, Metric, ratio
from mixpo.questions.scenes.scene import COLOURS, SHAPES, Grid, from_state

NAMED = re.compile(rf"(?:\b([a-d])([1-4]) )?\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})s?\b")


def objects(text: str, scene: Grid) -> tuple[int, int, int]:
    """How many objects a description names, how many of these are not there, how many that are there it names.

    An object named with its cell must be in that cell; one named without must be somewhere.
    """
    named = wrong = 0
    found = set()
    names = {thing.name: thing for thing in scene.things}
    for match in NAMED.finditer(text):
        row, column, name = match[1], match[2], f"{match[3]} {match[4]}"
        there = scene.at("abcd".index(row), int(column) - 1) if row else names.get(name)
        named += 1
        if there is None or there.name != name:
            wrong += 1
        else:
            found.add(there)
    return named, wrong, len(found)


def _counts(answered: Answered) -> tuple[float, ...]:
    """Named, of these not there, found, there, descriptions with one that is not there, descriptions."""
    scene = from_state(answered.question.meta["scene"])
    if not isinstance(scene, Grid):
        return (0.0,) * 6
    named, wrong, found = objects(answered.response.text if answered.response else "", scene)
    return float(named), float(wrong), float(found), float(len(scene.things)), float(wrong > 0), 1.0


METRICS = (
    Metric("hallucinated", _counts, lambda sums: ratio(sums[1], sums[0])),
    Metric("hallucinating", _counts, lambda sums: ratio(sums[4], sums[5])),
    Metric("named", _counts, lambda sums: ratio(sums[2], sums[3])),
)
"""Of objects named, those not there; of descriptions, those with such an object; of objects there, those named."""
