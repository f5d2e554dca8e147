"""What makes a training fit: the smallest change of its section, first of what changes nothing that is learned."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mixpo.models.shape import Shape
from mixpo.plan.lengths import Pairs, micro_batch
from mixpo.training.activations import HALF
from mixpo.training.memory import Setup, StepMemory, device_bytes

GIB = 2**30
MARGIN = 0.95
"""Of the memory that a proposal may take."""
RANK = 16
"""Of `lora: {}`."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A training as its section has it, with what its memory depends on; `changes` say what was changed of it."""

    config: Any
    shape: Shape
    groups: Sequence[Pairs]
    setup: Setup
    pairs: int
    """Of a micro-batch."""
    sft: bool = False
    changes: tuple[str, ...] = ()

    def memory(self) -> StepMemory:
        prompts = micro_batch(self.groups, self.pairs, self.config.row_tokens, self.sft)
        return device_bytes(self.shape, prompts, self.setup)

    def having(self, change: str, **values: Any) -> "Planned":
        return replace(self, setup=replace(self.setup, **values), changes=(*self.changes, change))


Change = Callable[[Planned, float], Planned]
"""Changes a training so that it takes less memory; as little as fits, where there is a choice."""


def _checkpointing(planned: Planned, _memory: float) -> Planned:
    if planned.setup.gradient_checkpointing:
        return planned
    return planned.having("gradient_checkpointing: true", gradient_checkpointing=True)


def _micro_batch(planned: Planned, memory: float) -> Planned:
    smaller = planned
    for pairs in range(planned.pairs - 1, 0, -1):
        if planned.pairs % pairs == 0:
            smaller = replace(planned, pairs=pairs, changes=(*planned.changes, f"micro_batch: {pairs}"))
            if smaller.memory().total <= memory:
                break
    return smaller


def _cached(planned: Planned, _memory: float) -> Planned:
    needed = planned.config.held_out or planned.config.reference_update_steps
    if planned.setup.reference != "live" or needed:
        return planned
    return planned.having("reference: cached", reference="none")


def _sharded(planned: Planned, _memory: float) -> Planned:
    setup = planned.setup
    if setup.shard != "none" or setup.devices == 1:
        return planned
    return planned.having("shard: fsdp2", shard="fsdp2", reference_sharded=True)


def _offloaded(planned: Planned, _memory: float) -> Planned:
    setup = planned.setup
    if setup.shard == "none":
        planned = planned.having("shard: fsdp2", shard="fsdp2", reference_sharded=True)
    wanted = "optimizer" if setup.shard == "zero2" else "all"
    return planned if setup.offload == wanted else planned.having(f"offload: {wanted}", offload=wanted)


def _lora(planned: Planned, _memory: float) -> Planned:
    if planned.setup.lora:
        return planned
    half = HALF if planned.setup.types.operands == HALF else planned.setup.frozen_bytes
    return planned.having("lora: {}", lora=RANK, reference="none", frozen_bytes=half)


def _quantized(planned: Planned, memory: float) -> Planned:
    if planned.setup.quantize != "none":
        return planned
    planned = _lora(planned, memory)
    if planned.setup.shard != "none":  # not together (`training.words`)
        planned = planned.having("shard: none", shard="none", offload="none", reference_sharded=False)
    return planned.having("quantize: 4bit", quantize="4bit")


HARMLESS: tuple[Change, ...] = (_checkpointing, _micro_batch, _cached, _sharded, _offloaded)
"""What is learned stays the same. `row_tokens` is not among them: no row is shorter than a single pair's."""
CHANGES = (*HARMLESS, _lora, _quantized)


def made_to_fit(planned: Planned, memory: float) -> Planned | None:
    """The first single change that changes nothing learned and with which it fits; else the first of all together, less
    what turns out not to be needed. None: nothing helps."""
    memory *= MARGIN
    for change in HARMLESS:
        changed = change(planned, memory)
        if len(changed.changes) == 1 and changed.memory().total <= memory:
            return changed
    for count in range(2, len(CHANGES) + 1):
        if _all(planned, CHANGES[:count], memory).memory().total <= memory:
            needed = list(CHANGES[:count])
            for change in reversed(CHANGES[: count - 1]):
                less = [one for one in needed if one is not change]
                if _all(planned, less, memory).memory().total <= memory:
                    needed = less
            return _all(planned, needed, memory)
    return None


def _all(planned: Planned, changes: Sequence[Change], memory: float) -> Planned:
    for change in sorted(changes, key=lambda change: change is _micro_batch):  # as large as the others allow
        planned = change(planned, memory)
    return planned


def verdict(planned: Planned, memory: float) -> str:
    """Whether the training fits into so many bytes of a device, and what makes it fit."""
    needed = planned.memory().total
    size = f"({gib(needed)} of {gib(memory)} GiB)"
    if needed <= memory:
        return f"fits {size}"
    found = made_to_fit(planned, memory)
    if found is None:
        return f"does not fit {size}, whatever is changed: take more or larger GPUs, or shorter pairs (row_tokens)"
    fields = " and ".join(f"`{change}`" for change in found.changes)
    return f"does not fit {size}: fits with {fields} ({gib(found.memory().total)} GiB)"


def gib(size: float) -> str:
    """In GiB, three digits or whole."""
    return f"{size / GIB:,.0f}" if size >= 100 * GIB else f"{size / GIB:.3g}"
