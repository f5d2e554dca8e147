"""Who sees whom in a packed shared-prefix row, as a dense mask and as FlexAttention's block mask.

A token sees its prompt and its own part of the row up to itself. `prefixes` (prompts, 1 + most completions) has the
tokens of each prompt and of its completions, 0 where a prompt has fewer (`Batch.prefixes`). Tokens behind them are
padding: each sees itself alone.
"""

from typing import Any

import torch
from torch import Tensor

from mixpo.models.upload import upload

BLOCK = 128
"""Tokens to a side of FlexAttention's blocks."""


def limits(prefixes: Tensor, tokens: int) -> Tensor:
    """(3, tokens) int64: where each token's prompt begins and ends, and where its own part of the row begins."""
    lengths = prefixes.flatten()
    begins = lengths.cumsum(0) - lengths
    heads = begins.view_as(prefixes)[:, :1].expand_as(prefixes)
    tails = heads + prefixes[:, :1]
    real = torch.stack([heads.flatten(), tails.flatten(), begins]).repeat_interleave(lengths, dim=1)
    return torch.cat([real, torch.arange(real.shape[1], tokens).expand(3, -1)], dim=1)


def visible(prefixes: Tensor, tokens: int | None = None) -> Tensor:
    """(T, T) bool: whether the token of the row sees that of the column; T is `tokens`, without padding by default."""
    head, tail, own = limits(prefixes, int(prefixes.sum()) if tokens is None else tokens)[:, :, None]
    query, key = torch.arange(len(own))[:, None], torch.arange(len(own))[None]
    return (key <= query) & ((key >= own) | ((key >= head) & (key < tail)))


def block_mask(prefixes: Tensor, tokens: int, device: torch.device) -> Any:
    """The same as FlexAttention's block mask for a row padded to `tokens`.

    Made on the host, from the lengths: nothing is compiled or launched for it, and its memory grows with the tokens
    times the blocks of a row.
    """
    from torch.nn.attention.flex_attention import BlockMask

    bounds = limits(prefixes, -(-tokens // BLOCK) * BLOCK)
    on_device = upload(bounds, device)

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        past = (key >= on_device[0, query]) & (key < on_device[1, query])
        return (key <= query) & ((key >= on_device[2, query]) | past)

    made = BlockMask.from_kv_blocks(*_blocks(bounds), BLOCK_SIZE=BLOCK, seq_lengths=(tokens, tokens))
    tensors = {name: value for name, value in vars(made).items() if isinstance(value, Tensor)}
    uploaded: dict[str, Any] = {name: upload(value, device) for name, value in tensors.items()}
    mask: Any = BlockMask(seq_lengths=(tokens, tokens), BLOCK_SIZE=made.BLOCK_SIZE, mask_mod=sees, **uploaded)
    mask.longest = longest(prefixes)
    return mask


def longest(prefixes: Tensor) -> int:
    """Tokens of the longest prompt with one of its completions."""
    return int((prefixes[:, 0] + prefixes[:, 1:].amax(dim=1)).max())


def _blocks(bounds: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How many blocks of keys each block of queries sees in part, and which; and the same of those it sees whole."""
    head, tail, own = bounds[:, :, None]
    query = torch.arange(len(own))[:, None]
    first = torch.arange(0, len(own), BLOCK)[None]
    last = first + BLOCK - 1
    past = torch.maximum(first, head) <= torch.minimum(last, torch.minimum(tail - 1, query))
    some = past | (torch.maximum(first, own) <= torch.minimum(last, query))
    # A first completion stands right behind its prompt: a block may lie in both.
    whole = (first >= own) | ((first >= head) & ((last < tail) | (tail == own)))
    some = some.view(-1, BLOCK, first.numel()).any(dim=1)
    whole = (whole & (last <= query)).view(-1, BLOCK, first.numel()).all(dim=1)
    return *_ordered(some & ~whole), *_ordered(whole)


def _ordered(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, rows) how many blocks of each row are set, and (1, 1, rows, columns) their numbers, these first; int32."""
    order = blocks.int().argsort(dim=1, descending=True, stable=True)
    return blocks.sum(dim=1, dtype=torch.int32)[None, None], order.int()[None, None]
