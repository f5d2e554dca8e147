"""Whether a training changed its model: one that did not must not be taken for a trained one."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mixpo.errors import UserError
from mixpo.training.config import coarse_types
from mixpo.training.sharding import Sharding

CHUNK = 1 << 22
"""Numbers that are added up at a time: what this takes of a device's memory is a few of them."""
INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By bytes: what a weight's bits are read as."""


def checksums(model: nn.Module, sharding: Sharding) -> Iterator[int]:
    """Of each trained weight, whole: the sum of its bits, which no order of adding changes. With an engine, all
    processes take part, weight by weight."""
    for weight in model.parameters():
        if weight.requires_grad:
            yield _checksum(sharding.gathered(weight))


def _checksum(weight: Tensor) -> int:
    bits = weight.contiguous().view(INTEGERS[weight.element_size()]).flatten()
    return sum(part.sum(dtype=torch.int64).item() for part in bits.split(CHUNK))


def refuse_unmoved(trainer: Any, before: list[int]) -> None:
    """Raises UserError, with the likely cause, where all `checksums` are what they were `before`.

    The first weight that differs ends the comparison.
    """
    if any(now != then for now, then in zip(checksums(trainer.model, trainer.sharding), before, strict=False)):
        return
    raise UserError(f"the training changed no weight: {_cause(trainer)}")


def _cause(trainer: Any) -> str:
    args, steps = trainer.args, trainer.state.global_step
    norms = [line["grad_norm"] for line in trainer.state.log_history if "grad_norm" in line]
    coarse = coarse_types(trainer.model)
    if steps == 0:
        return "it made no step; look at max_steps"
    if norms and not any(norms):
        return (
            "every gradient was 0; chosen and rejected say the same, or what is trained has no part in any "
            "completion's log-probability (see freeze, lora, and the weights of the objective)"
        )
    if coarse:
        return (
            f"what is trained is held in {coarse}, where a step of {args.learning_rate:g} is lost; load the model in "
            "float32, and compute in bf16"
        )
    return f"at a learning rate of {args.learning_rate:g} the steps (there were {steps}) are too short; raise it"
