"""Softmax attention out of oneDNN's float32 products, block by block of queries.

The same arithmetic as torch's own float32 attention on a CPU, whose products are MKL's (see `products`). Scores are
computed again in the backward pass; no more than a block of rows of them exists.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mixpo.models.cpu_products import OWN, available, linear_by_onednn

NAME = "mixpo_cpu"
BLOCK = 256
"""About so many rows of scores at a time: fewer waste less behind the diagonal, more fill the processor better."""
FEW_CORES = 8
"""The heads are computed one after the other: on more cores, torch's own way, a head a core, is the better one."""
WIDTH, KEYS = 32, 384
"""Narrower heads and shorter rows are left to torch."""


def fast_attention(query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float) -> Tensor | None:
    """(B, heads, R, width) from keys and values (B, heads, T, width), or None where torch's own way is to be taken.

    Causal: row i sees the first T - R + i + 1 keys, so that the R rows may be the last ones of T.
    """
    if not _fits(query, key, value):
        return None
    if torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad):
        return _Attention.apply(query, key, value, causal, scale)
    return attention(query, key, value, causal, scale)


def attention_function(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """For towers that see every patch, as transformers' models call it; the result is (B, T, heads, width)."""
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and not causal and not kwargs.get("dropout"):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        attended = fast_attention(query, key, value, False, scale)
        if attended is not None:
            return attended.transpose(1, 2).contiguous(), None
    return sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, is_causal=is_causal, **kwargs
    )


def _fits(query: Tensor, key: Tensor, value: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()
        and available()
        and torch.get_num_threads() <= FEW_CORES
        and not torch.is_autocast_enabled("cpu")
        and query.shape[-1] >= WIDTH
        and key.shape[-2] >= KEYS
        and key.shape[-2] >= query.shape[-2] > 0
        and all(
            type(one) in OWN and one.dim() == 4 and one.dtype == torch.float32 and one.device.type == "cpu"
            for one in (query, key, value)
        )
        and query.shape[:2] == key.shape[:2] == value.shape[:2]
    )


def _size(rows: int) -> int:
    """Rows of a block: even blocks, so that none is left over with a few rows (1,025 are 4 of 257)."""
    return -(-rows // max(1, round(rows / BLOCK)))


def _blocks(rows: int, keys: int, causal: bool) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows with the keys that they see."""
    size = _size(rows)
    for start in range(0, rows, size):
        end = min(start + size, rows)
        yield slice(start, end), slice(0, keys - rows + end if causal else keys)


def _heads(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(B, heads, rows, width) each: the (rows, width) of one head after the other."""
    return zip(*(tensor.reshape(-1, *tensor.shape[2:]).unbind() for tensor in tensors), strict=True)


def _probabilities(query: Tensor, key: Tensor, ahead: Tensor | None) -> Tensor:
    """(rows, keys) softmax of the scores; `ahead` (a block, a block) is -inf above the diagonal of the last columns."""
    scores = linear_by_onednn(query, key)
    if ahead is not None:
        rows = len(query)
        scores[:, -rows:] += ahead[:rows, :rows]
    return torch.softmax(scores, dim=1)


def _ahead(rows: int, causal: bool) -> Tensor | None:
    return torch.full((_size(rows), _size(rows)), -torch.inf).triu(1) if causal else None


@torch.library.custom_op("mixpo::attention", mutates_args=())
def attention(query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float) -> Tensor:
    """As `fast_attention`, without a gradient; one operator to what looks at operators (`training.recompute`)."""
    query, key, value = query * scale, key.contiguous(), value.contiguous()
    output = torch.empty(*query.shape[:3], value.shape[-1])
    ahead = _ahead(query.shape[2], causal)
    for q, k, v, out in _heads(query.contiguous(), key, value, output):
        for rows, seen in _blocks(len(q), len(k), causal):
            out[rows] = linear_by_onednn(_probabilities(q[rows], k[seen], ahead), v[seen].t())
    return output


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool, scale: float) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.causal, ctx.scale = causal, scale
        return attention(query, key, value, causal, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = (tensor.contiguous() for tensor in ctx.saved_tensors)
        query = query * ctx.scale
        grads = grad_query, grad_key, grad_value = tuple(torch.empty_like(one) for one in (query, key, value))
        ahead = _ahead(query.shape[2], ctx.causal)
        for q, k, v, g, gq, gk, gv in _heads(query, key, value, grad.contiguous(), *grads):
            # Sums over queries are taken across, (width, keys): twice as fast as (keys, width).
            across_key, across_value = torch.zeros_like(k.t().contiguous()), torch.zeros_like(v.t().contiguous())
            for rows, seen in _blocks(len(q), len(k), ctx.causal):
                probabilities = _probabilities(q[rows], k[seen], ahead)
                slopes = linear_by_onednn(g[rows], v[seen])
                across_value[:, seen] += linear_by_onednn(g[rows].t(), probabilities.t())
                slopes = torch.ops.aten._softmax_backward_data(slopes, probabilities, 1, torch.float32)
                gq[rows] = linear_by_onednn(slopes, k[seen].t())
                across_key[:, seen] += linear_by_onednn(q[rows].t(), slopes.t())
            gk.copy_(across_key.t())
            gv.copy_(across_value.t())
        return grad_query * ctx.scale, grad_key, grad_value, None, None


AttentionInterface.register(NAME, attention_function)
AttentionMaskInterface.register(NAME, sdpa_mask)
