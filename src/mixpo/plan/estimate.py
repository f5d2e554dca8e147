"""What sampling and training would take, before there are responses and pairs: upper bounds, from a few questions.

The FLOPs are those of `mixpo.plan.cost`; how fast a machine does them is assumed (`machines`, and `WRITING` here).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Layout
from mixpo.errors import DataError
from mixpo.messages import messages
from mixpo.models.shape import Prompt, Shape, paired
from mixpo.plan.changes import Planned
from mixpo.plan.cost import BACKWARD, forward_flops, step_flops
from mixpo.plan.lengths import Pairs, lengths
from mixpo.plan.machines import Machine
from mixpo.records import Question

WRITING = {True: 0.2, False: 0.05}
"""Share of the peak that a model reaches while it writes, a token a step: on a CPU, on a GPU. An assumption."""
KEPT_TOKENS = 65_536
"""Tokens whose keys and values are kept at once: the embedded backend's default on a CPU."""


def prompts_of(asked: Iterable[tuple[Question, str, list[Any]]], encoder: Encoder, patch: int) -> list[Prompt]:
    """Lengths of prompts: a question, the words that ask it, and its pictures. What cannot be asked is left out."""
    found = []
    for question, words, pictures in asked:
        try:
            row = {"images": pictures, "prompt": messages(words, len(pictures), question.system, question.turns)}
            found.append(lengths(Example(completions=[], **encoder.prompt(row)), [], encoder, patch))
        except DataError:
            continue
    return found


@dataclass(frozen=True, kw_only=True)
class Writing:
    """A model that answers `questions` with about the lengths of `prompts`, `each` so often, in `tokens` at most."""

    shape: Shape
    prompts: Sequence[Prompt]
    questions: int
    each: int
    tokens: int

    @property
    def responses(self) -> int:
        return self.questions * self.each

    def seconds(self, machine: Machine) -> float | None:
        """If every response were as long as it may be. None: the machine's peak is not known."""
        peak = machine.peak(_precision(machine))
        if peak is None or not self.prompts:
            return None
        shape, new = self.shape, self.tokens
        read = sum(forward_flops(shape, [prompt]).forward for prompt in self.prompts)
        seen = sum(prompt.tokens * new + new * (new + 1) // 2 for prompt in self.prompts)
        count = len(self.prompts)
        written = shape.language.flops(count * new, seen) + 2 * shape.embedding * count * new
        share = self.questions / count / (machine.devices * peak)
        return share * (read / machine.efficiency + self.each * written / WRITING[machine.memory is None])

    def memory(self, machine: Machine) -> int:
        """Bytes of a device: weights, and keys and values of as many tokens as are kept at once."""
        width = 4 if machine.memory is None else 2
        longest = max((prompt.tokens for prompt in self.prompts), default=0) + self.tokens
        kept = min(KEPT_TOKENS, self.responses * longest)
        language = self.shape.language
        return width * (self.shape.parameters + 2 * language.layers * language.layer.key_width * kept)


def _precision(machine: Machine) -> str:
    return "float32" if machine.memory is None else "bf16"


def assumed_pairs(prompts: Sequence[Prompt], count: int, tokens: int) -> list[Pairs]:
    """Groups of `count` pairs of a question each, every completion as long as it may be."""
    return [
        Pairs(count, replace(prompt, completions=(tokens,) * 2 * count), replace(prompt, completions=(tokens,) * count))
        for prompt in prompts
    ]


def step_cost(planned: Planned, live: bool) -> tuple[float, float]:
    """Tokens and FLOPs of an optimizer step; `live`: the reference runs, too."""
    config, setup = planned.config, planned.setup
    prompts = [one.chosen if planned.sft else one.full for one in planned.groups]
    if config.layout is Layout.PAIRED:
        prompts = paired(prompts)
    share = config.batch / sum(one.count for one in planned.groups)
    backward = 1 if setup.lora else BACKWARD  # no gradient of the matrices below an adapter
    flops = step_flops(planned.shape, prompts, live, backward, setup.gradient_checkpointing)
    if config.read:  # the language model is not run
        flops = forward_flops(planned.shape, prompts).vision * (1 + BACKWARD)
    return share * sum(prompt.length for prompt in prompts), share * flops


def training_peak(planned: Planned, machine: Machine) -> float | None:
    """FLOP/s of a device in the training's precision; None: not known."""
    wide = planned.setup.precision == "float32" and planned.config.trainer.get("tf32")
    return machine.peak("tf32" if wide else planned.setup.precision)


def training_seconds(flops: float, planned: Planned, machine: Machine) -> float | None:
    peak = training_peak(planned, machine)
    return flops / (machine.devices * peak * machine.efficiency) if peak else None
