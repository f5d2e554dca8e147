"""Chains of thought about NLVR pictures, written from what their boxes hold: supervised answers.

A chain names what each box holds, from left to right, then concludes. Stacked blocks are named by
colour from the bottom up ("yellow blue blue"), since statements about towers ask for their order;
scattered objects are counted by colour, shape and whether they touch an edge or a corner of the
box ("2 black square, 1 blue circle edge"), which is what statements about them ask for.
"""

from collections import Counter
from typing import Any

from mixpo.instructions import FINAL_ANSWER
from mixpo.prompts import Style
from mixpo.questions.nlvr import PERMUTATIONS, category
from mixpo.records import AnswerKind, Question

COLOURS = {"black": "black", "#0099ff": "blue", "yellow": "yellow"}
"""The corpus's colour names, lower case, and what people call them."""
BOX_SIZE = 100
"""Width and height of a box in the units of `x_loc`, `y_loc` and `size` (top left corner, pixels)."""
TOUCH = ("", " edge", " corner")
"""By how many sides of the box an object touches."""


def demonstrate(question: Question) -> list[tuple[str, str]]:
    """(prompt style, completion) pairs for an NLVR question; none for a question of another data set."""
    if "structured_rep" not in question.meta:
        return []
    boxes = describe(question)
    if question.kind is AnswerKind.FREE_FORM:
        return [(Style.PLAIN, boxes)]
    assert question.answer is not None
    chain = f"Let me look closely.\n{boxes}\nSo it is {question.answer}.\n{FINAL_ANSWER} {question.answer}"
    return [(Style.COT, chain), (Style.DIRECT, question.answer)]


def describe(question: Question) -> str:
    """What the boxes hold, a line each, in the order in which the picture shows them."""
    boxes = question.meta["structured_rep"]
    name_things = _stack if category(boxes) == "tower" else _counts
    shown = [boxes[number] for number in PERMUTATIONS[question.meta["permutation"]]]
    return "\n".join(f"box {number}: {name_things(box) or 'nothing'}" for number, box in enumerate(shown, 1))


def _stack(box: list[dict[str, Any]]) -> str:
    """The blocks' colours from the bottom up."""
    return " ".join(_colour(thing) for thing in sorted(box, key=lambda thing: -thing["y_loc"]))


def _counts(box: list[dict[str, Any]]) -> str:
    """How many there are of each colour, shape and touch, in the order of the alphabet."""
    counts = sorted(Counter((_colour(thing), thing["type"], _sides_touched(thing)) for thing in box).items())
    return ", ".join(f"{count} {colour} {shape}{TOUCH[sides]}" for (colour, shape, sides), count in counts)


def _colour(thing: dict[str, Any]) -> str:
    return COLOURS.get(thing["color"].lower(), thing["color"].lower())


def _sides_touched(thing: dict[str, Any]) -> int:
    """0: free, 1: at an edge, 2: in a corner. People called only what has no gap at all touching."""
    return sum(place == 0 or place + thing["size"] == BOX_SIZE for place in (thing["x_loc"], thing["y_loc"]))
