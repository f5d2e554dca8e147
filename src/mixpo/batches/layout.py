"""Examples to model inputs: shared-prefix rows, or the usual row per completion.

    shared   [prompt][chosen][rejected]     one row per example: prompt and images are computed once
    paired   [prompt][chosen]               one row per completion: what every other trainer does
             [prompt][rejected]

In a shared row each completion sees the prompt and itself, and its positions go on from the prompt's end, so
that it computes what it would alone. Only hidden states that predict a completion token are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from mixpo.batches.encode import Example


class Layout(StrEnum):
    SHARED = "shared"
    PAIRED = "paired"
    AUTO = "auto"
    """Shared, if on the first batch it gives the paired layout's log-probabilities; else paired, with a warning."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Model inputs and what is to be scored. Completions are numbered in the order of the examples."""

    inputs: dict[str, Tensor]
    """`input_ids` (R, T), `attention_mask` (R, T), or (R, 1, T, T) bool when shared, `position_ids` (R, T) when
    shared, and the image inputs."""
    positions: Tensor
    """(N,) where in the flattened (R * T) hidden states the N completion tokens are predicted."""
    targets: Tensor
    """(N,) the completion tokens."""
    segments: Tensor
    """(N,) the number of the completion that each belongs to."""
    lengths: Tensor
    """(C,) float32, tokens of each completion, end-of-turn included."""
    chosen: Tensor
    """(P,) number of each pair's chosen completion."""
    rejected: Tensor | None
    """(P,) number of each pair's rejected completion; None when the rows have none."""
    tokens: int
    """Tokens of the rows, padding excluded."""

    @property
    def pairs(self) -> int:
        return len(self.chosen)

    def to(self, device: torch.device) -> "Batch":
        return Batch(
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            positions=self.positions.to(device),
            targets=self.targets.to(device),
            segments=self.segments.to(device),
            lengths=self.lengths.to(device),
            chosen=self.chosen.to(device),
            rejected=None if self.rejected is None else self.rejected.to(device),
            tokens=self.tokens,
        )


def lay_out(examples: Sequence[Example], layout: Layout, pad_id: int) -> Batch:
    """A batch of the examples; `layout` is SHARED or PAIRED. Completions of an example: chosen, then rejected."""
    rows, sources = _rows(examples, layout)
    width = max(len(prompt) + sum(map(len, completions)) for prompt, completions, _ in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    positions, targets, segments = [], [], []
    for number, (prompt, completions, first) in enumerate(rows):
        flat = [token for completion in completions for token in completion]
        input_ids[number, : len(prompt) + len(flat)] = torch.tensor(prompt + flat)
        start = number * width + len(prompt)
        begin = start
        for offset, completion in enumerate(completions):
            # The prompt's last token predicts the first token of every completion.
            positions.append(torch.tensor([start - 1, *range(begin, begin + len(completion) - 1)]))
            segments.append(torch.full((len(completion),), first + offset))
            begin += len(completion)
        targets.append(torch.tensor(flat))
    images = merge_images([source.image_inputs for source in sources])
    inputs = {"input_ids": input_ids, **_masks(rows, layout, width), **_token_types(sources, width), **images}
    chosen, rejected = _pairs(examples)
    lengths = [len(completion) for example in examples for completion in example.completions]
    return Batch(
        inputs=inputs,
        positions=torch.cat(positions),
        targets=torch.cat(targets),
        segments=torch.cat(segments),
        lengths=torch.tensor(lengths, dtype=torch.float32),
        chosen=chosen,
        rejected=rejected,
        tokens=sum(len(prompt) + sum(map(len, completions)) for prompt, completions, _ in rows),
    )


Row = tuple[list[int], list[list[int]], int]
"""Prompt, its completions in this row, number of the first of them."""


def _rows(examples: Sequence[Example], layout: Layout) -> tuple[list[Row], list[Example]]:
    """The rows, and the example that each comes from."""
    rows: list[Row] = []
    sources = []
    count = 0
    for example in examples:
        if layout is Layout.SHARED:
            rows.append((example.prompt_ids, example.completions, count))
            sources.append(example)
        else:
            for offset, completion in enumerate(example.completions):
                rows.append((example.prompt_ids, [completion], count + offset))
                sources.append(example)
        count += len(example.completions)
    return rows, sources


def _token_types(sources: Sequence[Example], width: int) -> dict[str, Tensor]:
    """(R, T) for each kind of token type; 0, text, for completions and padding."""
    types: dict[str, Tensor] = {}
    for key in dict.fromkeys(key for source in sources for key in source.token_types):
        types[key] = torch.zeros(len(sources), width, dtype=torch.long)
        for number, source in enumerate(sources):
            values = source.token_types.get(key, [])
            types[key][number, : len(values)] = torch.tensor(values, dtype=torch.long)
    return types


def _masks(rows: Sequence[Row], layout: Layout, width: int) -> dict[str, Tensor]:
    """Masks are built from lengths, never from `input_ids != pad`: id 0 is a real token in some vocabularies."""
    if layout is Layout.PAIRED:
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for number, (prompt, completions, _) in enumerate(rows):
            mask[number, : len(prompt) + len(completions[0])] = 1
        return {"attention_mask": mask}
    part = torch.full((len(rows), width), -1)
    position_ids = torch.zeros(len(rows), width, dtype=torch.long)
    for number, (prompt, completions, _) in enumerate(rows):
        end = len(prompt)
        part[number, :end] = 0
        position_ids[number, :end] = torch.arange(end)
        for offset, completion in enumerate(completions, 1):
            part[number, end : end + len(completion)] = offset
            position_ids[number, end : end + len(completion)] = torch.arange(len(prompt), len(prompt) + len(completion))
            end += len(completion)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    query, key = part[:, :, None], part[:, None, :]
    sees = causal & ((query == key) | (key == 0)) & (key >= 0) & (query >= 0)
    # Padding rows see themselves: a row of the mask without any key makes softmax NaN.
    sees |= torch.eye(width, dtype=torch.bool) & (query < 0)
    return {"attention_mask": sees[:, None], "position_ids": position_ids}


def _pairs(examples: Sequence[Example]) -> tuple[Tensor, Tensor | None]:
    starts = torch.tensor([0, *(len(example.completions) for example in examples)]).cumsum(0)[:-1]
    if all(len(example.completions) == 1 for example in examples):
        return starts, None
    return starts, starts + 1


def merge_images(images: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Image inputs of several prompts as one batch: joined along the first dimension, in order.

    Families differ: a list of tiles (InternVL), of patches (Qwen-VL), or one padded block a prompt (LLaVA-NeXT,
    Idefics3); in the last case the other dimensions are zero-padded to the largest, as their processors do.
    """
    merged = {}
    for key in dict.fromkeys(key for one in images for key in one):
        parts = [one[key] for one in images if key in one]
        shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts))]
        merged[key] = torch.cat([_padded(part, shape) for part in parts])
    return merged


def _padded(part: Tensor, shape: list[int]) -> Tensor:
    if list(part.shape[1:]) == shape:
        return part
    padded = part.new_zeros(part.shape[0], *shape)
    padded[tuple(slice(0, size) for size in part.shape)] = part
    return padded
