"""The loader `scenes`: questions about drawn scenes, as many as asked for, reproducible from the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mixpo.questions.scenes.ask import (
    Task,
    category_of,
    choices_of,
    kind_of,
    make_task,
    truth,
    wording,
)
from mixpo.questions.scenes.chains import describe
from mixpo.questions.scenes.scene import CELLS, SPLITS, Scene, draw, make_scene
from mixpo.questions.source import Item
from mixpo.records import Dropped, Question

TERMS = 16
"""Longest chain that can be asked for: a scene has only so many different terms."""
MIXTURE = (
    ("sum", 1, 0.18),
    ("sum", 2, 0.22),
    ("sum", 3, 0.14),
    ("sum", 4, 0.08),
    ("sum", 5, 0.08),
    ("compare", 2, 0.10),
    ("most", 3, 0.08),
    ("neighbour", 1, 0.06),
    ("beside", 1, 0.06),
)
"""Family, number of terms, share of the questions."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a recipe may say of drawn scenes."""

    split: str = "train"
    """train, dev or test: no two share a scene."""
    count: int = 1000
    """Number of questions, each about a scene drawn for it."""
    start: int = 0
    """Number of the first question: other numbers are other scenes."""
    describe: bool = False
    """Free-form questions without a ground truth ("Describe the picture."), for DropoutNTP."""
    steps: tuple[int, ...] = ()
    """Only signed sums with these numbers of terms, for example 6, 7, 8: longer chains than in training."""
    things: tuple[int, ...] = (3, 8)
    """Smallest and largest number of shapes in a grid."""
    kinds: tuple[int, ...] = (3, 6)
    """Smallest and largest number of kinds that a grid's shapes are drawn from: few, so that counts above one are
    common; many, so that a shape's form does not follow from its colour."""
    charts: float = 0.2
    """Share of bar charts among the questions that can be asked of one."""
    in_words: bool = False
    """Say in the question what the scene holds instead of showing it: reasoning without a picture."""

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split {self.split!r} is none of {', '.join(SPLITS)}")
        if self.count < 0 or self.start < 0:
            raise ValueError("count and start must be at least 0")
        if len(self.things) != 2 or not 1 <= self.things[0] <= self.things[1] <= CELLS * CELLS:
            raise ValueError(f"things must be two numbers between 1 and {CELLS * CELLS}, the smaller first")
        if len(self.kinds) != 2 or not 1 <= self.kinds[0] <= self.kinds[1]:
            raise ValueError("kinds must be two numbers from 1 on, the smaller first")
        if any(not 1 <= number <= TERMS for number in self.steps):
            raise ValueError(f"steps must be between 1 and {TERMS}")
        if self.in_words and self.describe:
            raise ValueError("in_words and describe exclude each other: nothing would be left to describe")


def image_root(config: Config) -> Path | None:
    """None: all scenes are drawn into the run folder."""
    del config
    return None


def load(config: Config, name: str, seed: int) -> Iterator[Item | Dropped]:
    """Question and picture number `start`, `start + 1` …; each depends on (seed, split, number) alone."""
    for number in range(config.start, config.start + config.count):
        rng = random.Random(f"scenes/{seed}/{config.split}/{config.describe}/{config.steps}/{number}")
        scene, task = _scene_and_task(rng, config)
        question = ask(f"{name}-{number}", f"{name}/{number}.png", scene, task)
        if config.in_words:
            said = f"The picture shows:\n{describe(scene)}\n{question.text}"
            yield Item(question=replace(question, text=said, images=()))
            continue
        drawn = partial(draw, scene, f"{seed}/{config.split}/{number}")
        yield Item(question=question, pictures={question.images[0]: drawn})


def ask(question_id: str, picture: str, scene: Scene, task: Task) -> Question:
    """The question record of a task about a scene; `meta` holds the scene's true state and the task."""
    return Question(
        id=question_id,
        text=wording(task, scene),
        images=(picture,),
        answer=truth(task, scene),
        kind=kind_of(task),
        choices=choices_of(task, scene),
        domain="description" if task.family == "describe" else "general",
        category=category_of(task, scene),
        meta={"scene": scene.state(), "task": task.state(), "steps": task.steps},
    )


def _scene_and_task(rng: random.Random, config: Config) -> tuple[Scene, Task]:
    low, high = config.things
    fewest, most = config.kinds
    while True:
        family, steps = _family(rng, config)
        chart = rng.random() < config.charts and family in ("sum", "compare", "most", "describe") and steps <= 4
        scene = make_scene(rng, config.split, chart=chart, things=(low, high), kinds=(fewest, most))
        task = make_task(rng, scene, family, steps)
        # Some scenes have no such question (no thing is alone of its kind): draw another.
        if task is not None:
            return scene, task


def _family(rng: random.Random, config: Config) -> tuple[str, int]:
    if config.describe:
        return "describe", 1
    if config.steps:
        return "sum", rng.choice(config.steps)
    family, steps, _ = rng.choices(MIXTURE, [share for *_, share in MIXTURE])[0]
    return family, steps
