"""Attention of one new token per row over its prompt and over what the row has written.

The prompt's keys are read once for all samples of it, as in cascade inference (Ye et al. 2024) and
Hydragen (Juravsky et al. 2024, arXiv 2402.05099): attention over two parts, each with its own softmax,
joined by the sums of their exponentials. Exact, in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import AttentionInterface

NAME = "mixpo_shared_prompt"


class StepShape(NamedTuple):
    """How many rows and prompts a step has, and how many rows the prompt with most of them."""

    rows: int
    prompts: int
    most: int


@dataclass(frozen=True, slots=True)
class Grouping:
    """How rows lie on their prompts: the same until a row joins or leaves."""

    slots: Tensor
    """Row of each place, (prompts, most rows of a prompt); row 0 where a prompt has fewer, its result unused."""
    places: Tensor
    """Number of each row's place in `slots`, flattened, (rows,)."""
    lengths: Tensor
    """Tokens of each prompt, (prompts,)."""
    prompt_lengths: Tensor
    """Tokens of each row's prompt, (rows,)."""

    @classmethod
    def of(cls, lengths: Tensor, prompt_of: Tensor, shape: StepShape | None = None) -> "Grouping":
        """From the tokens of prompts (prompts,) and the prompt of each row (rows,), both on the host.

        `shape`: larger than these, to be filled up with prompts of no tokens and rows whose results nobody reads.
        """
        rows_of = torch.bincount(prompt_of, minlength=len(lengths))
        shape = shape or StepShape(len(prompt_of), len(lengths), int(rows_of.max()))
        order = prompt_of.argsort(stable=True)
        starts = rows_of.cumsum(0) - rows_of
        rank = torch.arange(len(order)) - starts[prompt_of[order]]
        places = torch.zeros(shape.rows, dtype=torch.long)
        places[order] = prompt_of[order] * shape.most + rank
        slots = torch.zeros(shape.prompts * shape.most, dtype=torch.long)
        slots[places[: len(order)]] = torch.arange(len(order))
        return cls(
            slots.view(-1, shape.most),
            places,
            pad(lengths, (0, shape.prompts - len(lengths))),
            pad(lengths[prompt_of], (0, shape.rows - len(order))),
        )

    def to(self, device: torch.device) -> "Grouping":
        """A copy there; the host does not wait for it."""
        return Grouping(*(getattr(self, name).to(device, non_blocking=True) for name in self.__slots__))

    def copy_(self, other: "Grouping") -> None:
        """The values of `other`, of the same shape, in these tensors."""
        for name in self.__slots__:
            getattr(self, name).copy_(getattr(other, name), non_blocking=True)


@dataclass(frozen=True, slots=True)
class StepLayout:
    """What each row of one step may look at."""

    grouping: Grouping
    counts: Tensor
    """Tokens each row has in memory before this step, (rows,)."""
    columns: int
    """Columns of the rows' memory that are read: more than the largest of `counts`."""
    masks: dict[tuple[int | None, int], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def hidden(self, window: int | None, prompt_columns: int) -> tuple[Tensor, Tensor]:
        """What is hidden: prompts' columns, (prompts, 1 or rows of a prompt, columns), and own, (rows, columns).

        A row's newest token stands at its prompt's length plus its count; a key `window` or more before it is hidden.
        """
        key = window, prompt_columns
        if key not in self.masks:
            columns = torch.arange(prompt_columns, device=self.counts.device)
            own = torch.arange(self.columns, device=self.counts.device)
            prompt_hidden = (columns >= self.grouping.lengths[:, None])[:, None]
            own_hidden = own > self.counts[:, None]
            if window is not None:
                newest = (self.grouping.prompt_lengths + self.counts)[self.grouping.slots]
                prompt_hidden = prompt_hidden | (newest[..., None] - columns >= window)
                own_hidden = own_hidden | (self.counts[:, None] - own >= window)
            self.masks[key] = prompt_hidden, own_hidden
        return self.masks[key]


def attend(
    query: Tensor,
    prompts: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    step: StepLayout,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    """`query` (rows, heads, 1, width), scaled; keys and values of `prompts` (prompts, key heads, columns, width)
    and `own` (rows, key heads, columns, width). Returns (rows, heads, 1, width of values)."""
    rows, heads = query.shape[:2]
    key_heads = own[0].shape[1]
    # Query heads that share a key head stand together: (rows, key heads, query heads a key head, width).
    query = query.view(rows, key_heads, heads // key_heads, -1)
    prompt_hidden, own_hidden = step.hidden(window, prompts[0].shape[2])
    own_part = _part(query, own, own_hidden[:, None, None], softcap)
    slots, places = step.grouping.slots, step.grouping.places
    count, most = slots.shape
    # (prompts, most, key heads, g, width) -> (prompts, key heads, most * g, width): one product a prompt.
    grouped = query[slots].transpose(1, 2).flatten(2, 3)
    group = heads // key_heads
    hidden = prompt_hidden.repeat_interleave(group, 1) if prompt_hidden.shape[1] > 1 else prompt_hidden
    prompt_part = _part(grouped, prompts, hidden[:, None], softcap)
    parts = [part.view(count, key_heads, most, group, -1).transpose(1, 2).flatten(0, 1)[places] for part in prompt_part]
    return _merge((parts[0], parts[1], parts[2]), own_part).view(rows, heads, 1, -1).to(own[1].dtype)


def _part(
    query: Tensor, keys_values: tuple[Tensor, Tensor], hidden: Tensor, softcap: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Largest score, sum of exponentials, weighted values: each (batch, key heads, queries, 1 or width)."""
    keys, values = keys_values
    scores = (query @ keys.mT).float()
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    # The lowest number, not -inf: a row of nothing but -inf gives NaN.
    scores = scores.masked_fill_(hidden, torch.finfo(torch.float32).min)
    largest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(largest).exp_()
    return largest, weights.sum(-1, keepdim=True), (weights.to(values.dtype) @ values).float()


def _merge(first: tuple[Tensor, Tensor, Tensor], second: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """softmax(scores of both parts) @ values of both."""
    largest = torch.maximum(first[0], second[0])
    share_first, share_second = (first[0] - largest).exp(), (second[0] - largest).exp()
    total = first[1] * share_first + second[1] * share_second
    return (first[2] * share_first + second[2] * share_second) / total


class Attending(Protocol):
    """What holds the keys and values of a step."""

    def attend(self, query: Tensor, scaling: float, softcap: float | None) -> Tensor: ...


ACTIVE: ContextVar[Attending] = ContextVar("active")


def _attention_function(
    _module: Any,
    query: Tensor,
    _key: Tensor,
    _value: Tensor,
    _mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The signature that transformers' models call; the result is (rows, 1, heads, width)."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return ACTIVE.get().attend(query, scaling, softcap).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention_function)


@contextmanager
def shared_prompts(model: Any, memory: Attending) -> Iterator[None]:
    """Within it, the language model's attention reads `memory`; afterwards the model is as it was."""
    config = model.get_decoder().config
    before = config._attn_implementation
    token = ACTIVE.set(memory)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        ACTIVE.reset(token)
