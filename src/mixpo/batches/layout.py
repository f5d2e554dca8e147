"""Examples to model inputs: one packed shared-prefix row, or the usual row per completion.

    shared   [prompt A][A1][A2][A3][prompt B][B1][B2]     one row: each prompt, image and completion once
    paired   [prompt A][A1]                               one row per completion: what every other trainer does
             [prompt A][A2] …

In the shared row each completion sees its prompt and itself, and its positions go on from the prompt's end, so
that it computes what it would alone. Only hidden states that predict a completion token are scored.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from mixpo.batches.encode import Example
from mixpo.batches.grouping import PromptGroup, group
from mixpo.batches.pixels import distinct_images
from mixpo.models.upload import upload


class Layout(StrEnum):
    SHARED = "shared"
    """One packed row: each prompt, image and completion once."""
    PAIRED = "paired"
    """A row per completion, as other trainers do."""
    AUTO = "auto"
    """Shared, if on the first batch it gives the paired layout's log-probabilities; else paired, with a warning."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Model inputs and what is to be scored. Completions are numbered in the order of the examples, each once."""

    inputs: dict[str, Tensor]
    """`input_ids` (R, T), the image inputs, token types (R, T); `attention_mask` (R, T) when paired, `position_ids`
    when shared, (1, T) or (axes, 1, T)."""
    prefixes: Tensor | None
    """(prompts, 1 + most completions) of the shared row: tokens of each prompt and of its completions, 0 where a
    prompt has fewer. It says who sees whom (`mixpo.models.attention`), and stays on the CPU. None when paired."""
    tiles: Tensor | None
    """(tiles,) which row of `pixel_values` stands at each place, where several prompts have the same image."""
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
    keys: list[int]
    """Digest of each completion with its prompt and images, 64 bits."""
    scored: list[int]
    """Numbers of the completions of pairs, on the host; those of other examples (`Example.counted`) are not in it."""
    host_ids: Tensor | None = None
    """`input_ids` on the host, of a batch that `to` brought to a GPU: nobody has to wait to look at them."""
    masks: dict[Any, Any] = field(default_factory=dict)
    """What `mixpo.models.attention` made of `prefixes`, by implementation and device: the reference and the policy,
    and all layers, take the same."""

    @property
    def pairs(self) -> int:
        return len(self.chosen)

    def to(self, device: torch.device) -> "Batch":
        moved: dict[str, Any] = {
            item.name: upload(value, device)
            for item in fields(self)
            if item.name not in ("prefixes", "host_ids") and isinstance(value := getattr(self, item.name), Tensor)
        }
        ids = self.inputs["input_ids"]
        if device.type == "cuda" and ids.device.type == "cpu":
            moved["host_ids"] = ids
        return replace(self, inputs={name: upload(value, device) for name, value in self.inputs.items()}, **moved)


def lay_out(examples: Sequence[Example], layout: Layout, pad_id: int, multiple: int = 1) -> Batch:
    """A batch of the examples; `layout` is SHARED or PAIRED. A shared row is padded to a `multiple` of tokens.

    Examples with the same prompt and images share it, and completions that several of them have stand once.
    """
    groups, chosen, rejected = group(examples)
    inputs, prefixes, starts = _packed(groups, pad_id, multiple) if layout is Layout.SHARED else _padded(groups, pad_id)
    prompts = [one.prompt for one in groups for _ in one.completions[: 1 if layout is Layout.SHARED else None]]
    images, tiles = distinct_images(
        [prompt.image_inputs for prompt in prompts], [prompt.image_key for prompt in prompts]
    )
    completions = [completion for one in groups for completion in one.completions]
    lengths = [len(completion) for completion in completions]
    positions = []
    for (before, begin), length in zip(starts, lengths, strict=True):
        # The prompt's last token predicts the first token of every completion.
        positions.append(torch.cat([torch.tensor([before]), torch.arange(begin, begin + length - 1)]))
    return Batch(
        inputs={**inputs, **images},
        prefixes=prefixes,
        tiles=tiles,
        positions=torch.cat(positions),
        targets=torch.tensor([token for completion in completions for token in completion]),
        segments=torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)),
        lengths=torch.tensor(lengths, dtype=torch.float32),
        chosen=torch.tensor(chosen, dtype=torch.long),
        rejected=None if rejected is None else torch.tensor(rejected, dtype=torch.long),
        scored=sorted({*chosen, *(rejected or ())}),
        keys=[_key(one.prompt, completion) for one in groups for completion in one.completions],
        tokens=int((inputs["attention_mask"] if prefixes is None else prefixes).sum()),
    )


def _key(prompt: Example, completion: list[int]) -> int:
    digest = hashlib.blake2b(prompt.key or b"", digest_size=8)
    for ids in (prompt.prompt_ids, completion):
        digest.update(torch.tensor([len(ids), *ids]).numpy().tobytes())
    return int.from_bytes(digest.digest())


Starts = list[tuple[int, int]]
"""For each completion, where in the flattened rows its prompt's last token is, and its own first one."""


def _packed(groups: Sequence[PromptGroup], pad_id: int, multiple: int) -> tuple[dict[str, Tensor], Tensor, Starts]:
    """One row of all groups; `prefixes` says nothing of its padding, which stands behind them."""
    ids: list[int] = []
    axes = max(1 if one.prompt.positions is None else len(one.prompt.positions) for one in groups)
    position_ids = []
    starts = []
    for one in groups:
        places = one.prompt.positions
        if places is None:
            places = torch.arange(len(one.prompt.prompt_ids))
        last = len(ids) + len(one.prompt.prompt_ids) - 1
        ids += one.prompt.prompt_ids
        position_ids.append(places.expand(axes, -1))
        begin = int(places.max()) + 1
        for completion in one.completions:
            starts.append((last, len(ids)))
            ids += completion
            position_ids.append(torch.arange(begin, begin + len(completion)).expand(axes, -1))
    most = max(len(one.completions) for one in groups)
    prefixes = torch.zeros(len(groups), 1 + most, dtype=torch.long)
    for number, one in enumerate(groups):
        counts = [len(one.prompt.prompt_ids), *map(len, one.completions)]
        prefixes[number, : len(counts)] = torch.tensor(counts)
    begins = [0, *accumulate(prefixes.sum(1).tolist())][:-1]
    padding = -len(ids) % multiple
    ids += [pad_id] * padding
    position_ids.append(torch.zeros(axes, padding, dtype=torch.long))
    inputs = {
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.cat(position_ids, dim=1) if axes == 1 else torch.cat(position_ids, dim=1)[:, None],
        **_token_types([list(zip(begins, groups, strict=True))], len(ids)),
    }
    return inputs, prefixes, starts


def _padded(groups: Sequence[PromptGroup], pad_id: int) -> tuple[dict[str, Tensor], None, Starts]:
    """One row a completion, padded on the right."""
    rows = [(one, completion) for one in groups for completion in one.completions]
    width = max(len(one.prompt.prompt_ids) + len(completion) for one, completion in rows)
    input_ids = torch.full((len(rows), width), pad_id)
    # Built from lengths, never from `input_ids != pad`: id 0 is a real token in some vocabularies.
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    starts = []
    for number, (one, completion) in enumerate(rows):
        ids = one.prompt.prompt_ids + completion
        input_ids[number, : len(ids)] = torch.tensor(ids)
        mask[number, : len(ids)] = 1
        begin = number * width + len(one.prompt.prompt_ids)
        starts.append((begin - 1, begin))
    inputs = {
        "input_ids": input_ids,
        "attention_mask": mask,
        **_token_types([[(0, one)] for one, _ in rows], width),
    }
    return inputs, None, starts


def _token_types(rows: Sequence[Sequence[tuple[int, PromptGroup]]], width: int) -> dict[str, Tensor]:
    """(R, T) for each kind of token type, (R, T, images, tiles) for images that tokens attend to apart; from where
    prompts stand in each row; padding is 0."""
    types: dict[str, Tensor] = {}
    for number, row in enumerate(rows):
        for begin, one in row:
            for key, values in one.prompt.token_types.items():
                own = torch.tensor(values)
                tensor = types.setdefault(key, torch.zeros(len(rows), width, *own.shape[1:], dtype=torch.long))
                end = begin + len(values)
                tensor[number, begin:end] = own
                written = sum(map(len, one.completions))
                tensor[number, end : end + written] = torch.tensor(one.prompt.completion_types.get(key, 0))
    return types
