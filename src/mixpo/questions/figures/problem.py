"""A question about a drawn figure: its words, its truth, and the steps that lead there."""

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mixpo.questions.figures.canvas import Canvas
from mixpo.records import AnswerKind

HELD_OUT = 4
"""Of so many ways to say a thing, one is kept for tests (the last ones)."""


class Figure(ABC):
    """What is drawn; a subclass is a frozen dataclass of plain values, so that equal figures are equal."""

    @abstractmethod
    def draw(self, canvas: Canvas) -> None:
        """Draws itself on a canvas of any size and look."""

    @abstractmethod
    def facts(self) -> Mapping[str, str]:
        """What can be read off it, by name: what a step of a chain of thought may claim."""

    def caption(self) -> str:
        """All that is to be seen, a fact a line."""
        return "\n".join(f"{name[0].upper()}{name[1:]} is {value}." for name, value in self.facts().items())


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question that a figure answers."""

    figure: Figure
    family: str
    """What is asked for: "chart difference", "clock later" …"""
    text: str
    answer: str
    kind: AnswerKind
    choices: tuple[str, ...] = ()
    unit: str = ""
    steps: tuple[str, ...] = ()
    """The chain of thought, a sentence a step, the answer's own sentence not included."""


def said(rng: random.Random, ways: Sequence[str], held_out: bool, **words: object) -> str:
    """One of the ways to say something, filled in; `held_out`: one that training never sees."""
    kept = max(1, len(ways) // HELD_OUT)
    return rng.choice(ways[-kept:] if held_out else ways[:-kept]).format(**words)


ASIDES = (
    "It rained for most of that week.",
    "Please look at the picture carefully.",
    "Their teacher asked them about it on Thursday.",
    "Nobody else took part.",
    "The picture was made last spring.",
    "The book that it comes from has 25 pages.",
    "It took them two afternoons.",
    "A friend of theirs, who is 11, drew it.",
)
"""Sentences that change nothing; some have numbers that a hasty reader takes."""
ASIDE_SHARE = 0.3
DESCRIBE = (
    "Describe the picture.",
    "What does the picture show?",
    "Say all that is to be seen.",
    "Read the picture aloud.",
)
"""Ways to ask for all that is to be seen."""


def with_aside(rng: random.Random, text: str, held_out: bool) -> str:
    """The question, now and then behind a sentence that has nothing to do with it."""
    return f"{said(rng, ASIDES, held_out)} {text}" if rng.random() < ASIDE_SHARE else text
