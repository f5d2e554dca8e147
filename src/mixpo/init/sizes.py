"""Sizes of a recipe that fit the machine, the model and the data: how much is sampled, how training is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from mixpo.batches.encode import Encoder
from mixpo.config import build
from mixpo.dry_run.costs import this_machine
from mixpo.errors import UserError, first_line
from mixpo.models.load import load_config, load_processor
from mixpo.models.shape import Prompt, Shape
from mixpo.plan.ahead import memory_of, training
from mixpo.plan.changes import made_to_fit
from mixpo.plan.estimate import Writing, assumed_pairs, prompts_of
from mixpo.plan.machines import Machine
from mixpo.plan.plan import shape_on_paper
from mixpo.prompts import Style, user_text
from mixpo.training.train import Config

TINY = 50_000_000
"""Parameters up to which a model trains from such a rate as a small one is trained with from the start."""
SAMPLES = (32, 16, 8, 4)
"""Responses a question: the paper's 32, or what can be written in the time."""
WRITING_SECONDS = {True: 30 * 60, False: 4 * 3600}
"""What sampling may take at most, if every response were as long as it may be: on a CPU, on a GPU."""
TOKENS = {True: 256, False: 1024}
LEAST_QUESTIONS = 8
STEPS = 20
"""Optimizer steps that a small set is to give."""
BATCH = (8, 256)
RATES = {"tiny": 1e-4, "lora": 2e-5, "whole": 5e-6}


@dataclass(kw_only=True)
class Sizes:
    """Of a recipe's sections; the fields are named as there."""

    n: int = 8
    max_new_tokens: int = 256
    limit: int | None = None
    """Questions to sample; None: all."""
    styles: tuple[str, ...] = ("direct", "cot")
    train: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done: questions to sample and to hold out, or pairs that are there."""

    shown: Sequence[tuple[Any, list[Any]]]
    questions: int = 0
    held_out: int = 0
    pairs: int = 0


def sizes(model: str, path: str, work: Work) -> Sizes:
    """`path`: where the model lies, or its hub name. Raises UserError for a folder that is no such model."""
    machine = this_machine("")
    try:
        shape = shape_on_paper(path)
        encoder = Encoder(load_processor(path))
    except UserError as error:
        if not _on_the_hub(path):
            raise
        return _careful(model, machine, first_line(error))
    asked = [(question, user_text(question, Style.AUTO), pictures) for question, pictures in work.shown]
    prompts = prompts_of(asked, encoder, shape.patch)
    found = Sizes()
    if work.shown and not prompts:
        found.notes.append("none of the first prompts is taken by the model's processor: the run says why")
    longest = max((prompt.tokens for prompt in prompts), default=512)
    _written(found, Writing(shape=shape, prompts=prompts, questions=work.questions, each=1, tokens=1), work, machine)
    _within_context(found, path, longest)
    most = work.pairs or (work.questions if found.limit is None else found.limit) * min(15, found.n**2 // 4) // 3
    _trained(found, shape, prompts or [Prompt(tokens=longest, completions=())], most, machine)
    return found


def _on_the_hub(path: str) -> bool:
    """Whether it looks like owner/name, and not like a folder."""
    return path.count("/") == 1 and not path.startswith((".", "/", "~"))


def _careful(model: str, machine: Machine, why: str) -> Sizes:
    """Sizes that nearly any model of some billions of parameters takes, where nothing can be known of it."""
    train = {"batch": BATCH[0], "micro_batch": 1, "gradient_checkpointing": True}
    note = f"{model} cannot be looked at from here ({why}): sizes are small ones; `--dry-run` says more when it can be"
    return Sizes(n=8, max_new_tokens=TOKENS[machine.memory is None], train=train, notes=[note])


def _written(found: Sizes, once: Writing, work: Work, machine: Machine) -> None:
    """How many responses a question, of how many tokens, to how many questions."""
    cpu = machine.memory is None
    found.max_new_tokens = TOKENS[cpu]
    if not work.questions:
        return

    def seconds(questions: int, each: int) -> float:
        writing = Writing(shape=once.shape, prompts=once.prompts, questions=questions, each=each,
                          tokens=found.max_new_tokens)  # fmt: skip
        return writing.seconds(machine) or 0.0

    budget = WRITING_SECONDS[cpu]
    found.n = next((n for n in SAMPLES if seconds(work.questions, n) <= budget), SAMPLES[-1])
    if seconds(work.questions, found.n) > budget:
        fits = int(work.questions * budget / seconds(work.questions, found.n))
        found.limit = max(min(LEAST_QUESTIONS, work.questions), fits)
        found.notes.append(
            f"{work.questions:,} questions would take this machine hours: {found.limit:,} are asked (`limit`)"
        )
    if 4 * seconds(work.held_out, 1) > budget:  # before and after, in two styles
        found.styles = ("cot",)


def _within_context(found: Sizes, path: str, longest: int) -> None:
    context = getattr(load_config(path).get_text_config(), "max_position_embeddings", None)
    if context is None or longest + found.max_new_tokens <= context:
        return
    found.max_new_tokens = max(16, context - longest)
    found.notes.append(
        f"the model reads {context:,} tokens, and the longest of the first prompts has {longest:,}: responses have at "
        f"most {found.max_new_tokens:,}; `images: {{max_pixels: …}}` at the recipe's top makes pictures smaller"
    )


def _trained(found: Sizes, shape: Shape, prompts: Sequence[Prompt], pairs: int, machine: Machine) -> None:
    """Batch, rate, and what makes the training fit the memory."""
    least, largest = BATCH
    batch = least
    while batch * 2 <= min(largest, pairs // STEPS):
        batch *= 2
    found.train = {"batch": batch, "micro_batch": min(batch, 16)}
    config = build(Config, {**found.train}, "train")
    groups = assumed_pairs(prompts, config.pairs_per_group, found.max_new_tokens)
    have, planned = memory_of(machine), training(config, shape, groups, max(1, pairs), machine)
    if planned.warning and have is not None:
        fitting = made_to_fit(planned.planned, have)
        changes = [yaml.safe_load(change) for change in fitting.changes] if fitting else []
        found.train |= {name: value for change in changes for name, value in change.items()}
        if fitting is None:
            found.notes.append(f"{planned.warning}: take a smaller model or a larger machine")
    small = shape.parameters < TINY
    rate = RATES["tiny" if small else "lora" if "lora" in found.train else "whole"]
    found.train = {"learning_rate": rate, **found.train}
