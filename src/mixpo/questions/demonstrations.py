"""Supervised answers for questions whose truth is known: what the base model is trained on before MPO.

The step `demonstrations`: Question -> Demonstration. Scenes get descriptions, direct answers, careful chains of
thought and hasty ones, in shares that the recipe states, figures the same without hasty ones; NLVR statements get
chains written from their structured representation.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mixpo.files import RunFiles
from mixpo.instructions import FINAL_ANSWER, FINAL_ANSWER_ZH
from mixpo.progress import say, track
from mixpo.prompts import Style, user_text
from mixpo.questions import nlvr_chains
from mixpo.questions.figures.problem import DESCRIBE, said
from mixpo.questions.scenes import chains
from mixpo.questions.scenes.ask import Task, task_from_state
from mixpo.questions.scenes.scene import Scene, from_state
from mixpo.questions.steps import of_scene, truth_is_known
from mixpo.records import Demonstration, Question
from mixpo.references import Output, Questions

WRITES = (Output.DEMONSTRATIONS,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The mixture of answers about scenes and figures; shares are of 1, what is left over are chains of thought."""

    name: str = "demonstrations"
    """The section's name: its folder in the run."""
    seed: int = 0
    """Seed of which question gets which kind of answer, and of the slips in hasty ones."""
    questions: Questions = "questions"
    """The section whose questions are answered."""
    describe: float = 0.0
    """Share of scenes that are described instead of asked about."""
    direct: float = 0.0
    """Share of direct answers."""
    hasty: float = 0.0
    """Share of hasty ones among the chains of thought that have to find more than one value."""
    hasty_single: float = 0.0
    """The same for chains that have to find one value only."""
    slip: float = 0.0
    """Probability that a hasty chain misses a value by one, either way."""
    overlook: float = 0.0
    """Probability that a hasty chain finds one too few of what it counts. Misses either way leave the right value the
    likeliest, and a greedy answer right; when most values are one too few, that is what it learns to say."""
    other_styles: float = 0.18
    """Share of chains that are asked for as boxed, think-tagged or Chinese instead of the plain chain."""
    embellish: float = 0.0
    """Share of descriptions that name things which are not there, behind those that are."""
    blind: float = 0.0
    """Share of descriptions without their picture: what a model learns from text alone, and continues without an
    image in DropoutNTP. A model that never read text without one writes no words there that could be made up."""

    def __post_init__(self) -> None:
        for field in (
            "describe", "direct", "hasty", "hasty_single", "slip", "overlook", "other_styles", "embellish", "blind",
        ):  # fmt: skip
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field} must be between 0 and 1")
        if self.describe + self.direct > 1:
            raise ValueError("describe and direct are shares of 1: together at most 1")


def demonstrate(questions: Iterable[Question], config: Config) -> Iterator[Demonstration]:
    """One demonstration per question about a scene or a figure, one per style for an NLVR statement."""
    for question in questions:
        if of_scene(question):
            rng = random.Random(f"demonstrations/{config.seed}/{question.id}")
            shown = [_scene_demonstration(question, config, rng)]
        elif "caption" in question.meta and (question.answer is None or truth_is_known(question)):
            rng = random.Random(f"demonstrations/{config.seed}/{question.id}")
            shown = [_figure_demonstration(question, config, rng)]
        else:
            shown = [
                _record(question, Style(style), user_text(question, Style(style)), text)
                for style, text in nlvr_chains.demonstrate(question)
            ]
        for demonstration in shown:
            blind = random.Random(f"blind/{config.seed}/{demonstration.id}").random() < config.blind
            described = demonstration.id.endswith(f"/{Style.PLAIN}")
            yield replace(demonstration, images=(), videos=()) if blind and described else demonstration


def _record(question: Question, style: Style, prompt: str, text: str) -> Demonstration:
    return Demonstration(
        id=f"{question.id}/{style}", question_id=question.id, prompt=prompt, text=text, images=question.images,
        videos=question.videos, system=question.system, turns=question.turns,
    )  # fmt: skip


def _scene_demonstration(question: Question, config: Config, rng: random.Random) -> Demonstration:
    scene, task = from_state(question.meta["scene"]), task_from_state(question.meta["task"])
    draw = rng.random()
    if task.family == "describe" or draw < config.describe:
        prompt = "Describe the chart." if "bars" in question.meta["scene"] else "Describe the picture."
        embellish = rng.random() < config.embellish
        text = chains.embellished(scene, rng) if embellish else chains.describe(scene)
        return _record(question, Style.PLAIN, prompt, text)
    if draw < config.describe + config.direct:
        assert question.answer is not None
        return _record(question, Style.DIRECT, user_text(question, Style.DIRECT), question.answer)
    style = rng.choice((Style.BOXED, Style.THINK, Style.COT_ZH)) if rng.random() < config.other_styles else Style.COT
    return _record(question, style, user_text(question, style), _chain(task, scene, style, config, rng))


def _figure_demonstration(question: Question, config: Config, rng: random.Random) -> Demonstration:
    """A description, a direct answer, or the true chain: nothing hasty is taught about figures."""
    draw = rng.random()
    if question.answer is None or draw < config.describe:
        prompt = question.text if question.answer is None else said(rng, DESCRIBE, held_out=False)
        return _record(question, Style.PLAIN, prompt, question.meta["caption"])
    if draw < config.describe + config.direct:
        return _record(question, Style.DIRECT, user_text(question, Style.DIRECT), question.answer)
    style = Style.BOXED if rng.random() < config.other_styles else Style.COT
    chain = "\n".join(question.meta["chain"])
    answer = f"\\boxed{{{question.answer}}}" if style is Style.BOXED else f"{FINAL_ANSWER} {question.answer}"
    return _record(question, style, user_text(question, style), f"{chain}\n{answer}")


def _chain(task: Task, scene: Scene, style: Style, config: Config, rng: random.Random) -> str:
    if rng.random() < (config.hasty if len(task.terms) > 1 else config.hasty_single):
        chain, answer = chains.hasty(task, scene, rng, config.slip, config.overlook)
    else:
        chain, answer = chains.careful(task, scene)
    if style is Style.BOXED:
        return f"{chain}\n\\boxed{{{answer}}}"
    if style is Style.THINK:
        return f"<think>\n{chain}\n</think>\n{FINAL_ANSWER} {answer}"
    if style is Style.COT_ZH:
        return f"{chain}\n{FINAL_ANSWER_ZH}{answer}"
    return f"{chain}\n{FINAL_ANSWER} {answer}"


def run(config: Config, files: RunFiles) -> None:
    """Writes the demonstrations of the section's questions; what is there is not made again."""
    target = files.demonstrations(config.name)
    done = target.ids()
    questions = track(files.questions(config.questions), "demonstrations")
    count = target.append(record for record in demonstrate(questions, config) if record.id not in done)
    say(f"{config.name}: {count} demonstrations written, {len(done)} were there")
