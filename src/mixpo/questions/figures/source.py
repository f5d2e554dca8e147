"""The loader `figures`: questions in many words about drawn charts, tables, clocks, plane figures and rooms.

As many as asked for, reproducible from the seed. Kept apart for tests, each by a switch of its own: pictures (`split`),
ways to ask (`new_words`), a style (`dark`) and a family of questions (`chart range`).
"""

import fnmatch
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from mixpo.questions.figures import charts, clocks, number_tables, paired_charts, plane, rooms
from mixpo.questions.figures.canvas import Canvas, Look, make_look
from mixpo.questions.figures.problem import DESCRIBE, Figure, Problem, said, with_aside
from mixpo.questions.figures.steps import truths
from mixpo.questions.scenes.scene import SPLITS
from mixpo.questions.source import Item
from mixpo.records import AnswerKind, Dropped, Question

MAKERS: dict[str, ModuleType] = {
    "chart": charts,
    "legend": paired_charts,
    "table": number_tables,
    "clock": clocks,
    "geometry": plane,
    "room": rooms,
}
FAMILIES = tuple(f"{name} {family}" for name, maker in MAKERS.items() for family in maker.FAMILIES)
KEPT = ("chart range",)
"""Families that are asked only where a recipe names them."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a recipe may say of drawn figures."""

    split: str = "train"
    """train, dev or test: no two share a figure."""
    count: int = 1000
    """Number of questions, each about a figure drawn for it."""
    start: int = 0
    """Number of the first question: other numbers draw anew. (There are 144 clocks, 18 of them in the split test.)"""
    size: int = 112
    """Pixels of a side."""
    families: tuple[str, ...] = ()
    """Which questions, with `*`: `chart *`, `clock later`; nothing: all but `chart range`."""
    describe: bool = False
    """Free-form questions without a ground truth ("Describe the picture."), for DropoutNTP."""
    new_words: bool = False
    """Ask in words that are kept for tests."""
    dark: bool = False
    """Draw light on dark, a style that is kept for tests."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r} is none of {', '.join(SPLITS)}")
        if self.count < 0 or self.start < 0:
            raise ValueError("count and start must be at least 0")
        if not 32 <= self.size <= 1024:
            raise ValueError("size must be between 32 and 1024 pixels")
        for wanted in self.families:
            if not fnmatch.filter(FAMILIES, wanted):
                raise ValueError(f"families: {wanted!r} fits none of {', '.join(FAMILIES)}")

    def asked(self) -> tuple[str, ...]:
        """The families of the questions."""
        if not self.families:
            return tuple(name for name in FAMILIES if name not in KEPT)
        return tuple(name for name in FAMILIES if any(fnmatch.fnmatch(name, wanted) for wanted in self.families))


def image_root(config: Config) -> Path | None:
    """None: all figures are drawn into the run folder."""
    del config
    return None


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Question and picture number `start`, `start + 1` …; each depends on the config, the seed and its number."""
    for number in range(config.start, config.start + config.count):
        rng = random.Random(f"figures/{seed}/{config.split}/{config.describe}/{config.new_words}/{number}")
        problem = make_problem(rng, config)
        drawn = partial(draw, problem.figure, config.size, make_look(rng, config.dark))
        path = f"{name}/{number}.png"
        question = ask(f"{name}-{number}", path, problem, rng, config)
        yield Item(question=question, pictures={path: drawn})


def draw(figure: Figure, size: int, look: Look) -> bytes:
    """A PNG of a figure, `size` pixels a side."""
    canvas = Canvas(size, look)
    figure.draw(canvas)
    return canvas.png()


def make_problem(rng: random.Random, config: Config) -> Problem:
    """A problem whose figure belongs to the split."""
    while True:
        name, _, family = rng.choice(config.asked()).partition(" ")
        problem: Problem = MAKERS[name].make(rng, family, config.new_words)
        if zlib.crc32(repr(problem.figure).encode()) % 100 in SPLITS[config.split]:
            return problem


def ask(question_id: str, picture: str, problem: Problem, rng: random.Random, config: Config) -> Question:
    """The question record of a problem; `meta` holds the chain and what its steps may claim."""
    facts = problem.figure.facts()
    meta = {"caption": problem.figure.caption(), "facts": truths(facts, problem.steps)}
    if config.describe:
        text = said(rng, DESCRIBE, config.new_words)
        return Question(id=question_id, text=text, images=(picture,), kind=AnswerKind.FREE_FORM,
                        domain="description", category="describe", meta=meta)  # fmt: skip
    return Question(
        id=question_id,
        text=with_aside(rng, problem.text, config.new_words),
        images=(picture,),
        answer=problem.answer,
        kind=problem.kind,
        choices=problem.choices,
        category=problem.family,
        meta={**meta, "chain": list(problem.steps), "steps": len(problem.steps)},
    )
