"""Attention over packed shared-prefix rows: each completion sees its prompt and itself, and no work is spent on more.

`Batch.prefixes` says how a row is built. It reaches the attention layers as the model's `attention_mask`: transformers
hands a mask of four dimensions to them as it is. Three ways, chosen by the attention implementation of the model:

    mixpo_shared_prefix   (set by `prepare` where the model used SDPA) one SDPA call per part of the row; no mask at all
                          for a prompt and its first completion, one of (completion, prompt + completion) for others
    flex_attention        (set by `prepare` on CUDA) a block mask made from segment ids
    eager, others         a dense (1, 1, T, T) mask
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mixpo.models.cpu_attention import fast_attention

NAME = "mixpo_shared_prefix"
FLEX = "flex_attention"


def decoder(model: Any) -> Any:
    """The language model: what is attended with, and told how in its config."""
    return model.get_decoder()


def prepare(model: Any) -> None:
    """Chooses the attention of the language model for shared rows; other rows are computed as before."""
    config = decoder(model).config
    if config._attn_implementation != "sdpa":
        return
    if next(model.parameters()).is_cuda and getattr(decoder(model), "_supports_flex_attn", False):
        config._attn_implementation = FLEX
    else:
        config._attn_implementation = NAME


def mask_for(model: Any, prefixes: Tensor, dtype: torch.dtype, device: torch.device) -> Any:
    """What to give the model as `attention_mask` for a row built as `prefixes` says."""
    implementation = decoder(model).config._attn_implementation
    if implementation == NAME:
        return prefixes[:, None, None]
    if implementation == FLEX:
        return block_mask(prefixes, device)
    sees = visible(prefixes).to(device)[None, None]
    return torch.zeros(sees.shape, dtype=dtype, device=device).masked_fill_(~sees, torch.finfo(dtype).min)


def segment_ids(prefixes: Tensor) -> tuple[Tensor, Tensor]:
    """(T,) number of each token's prompt, and of its part: 0 in a prompt, then 1 + its completion's number."""
    flat = prefixes.flatten()
    prompts = torch.arange(len(prefixes)).repeat_interleave(prefixes.shape[1]).repeat_interleave(flat)
    parts = torch.arange(prefixes.shape[1]).repeat(len(prefixes)).repeat_interleave(flat)
    return prompts, parts


def visible(prefixes: Tensor) -> Tensor:
    """(T, T) bool: whether the token of the row sees that of the column."""
    prompts, parts = segment_ids(prefixes)
    causal = torch.ones(len(prompts), len(prompts), dtype=torch.bool).tril()
    return causal & (prompts[:, None] == prompts) & ((parts[:, None] == parts) | (parts == 0))


def block_mask(prefixes: Tensor, device: torch.device) -> Any:
    """The same as FlexAttention's block mask, made from segment ids: memory grows with T, not with its square."""
    from torch.nn.attention.flex_attention import create_block_mask

    prompts, parts = (ids.to(device) for ids in segment_ids(prefixes))

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        own = (parts[query] == parts[key]) | (parts[key] == 0)
        return (query >= key) & (prompts[query] == prompts[key]) & own

    compiled = device.type == "cuda"  # uncompiled, it would build the dense mask first
    return create_block_mask(sees, None, None, len(prompts), len(prompts), device=device, _compile=compiled)


def attend(query: Tensor, key: Tensor, value: Tensor, prefixes: list[list[int]], scaling: float) -> Tensor:
    """`query` (1, heads, T, width), `key`, `value` (1, heads, T, width) -> (1, heads, T, width of `value`)."""
    outputs = []
    begin = 0
    for prompt, *completions in prefixes:
        past = slice(begin, begin + prompt)
        first, *others = [length for length in completions if length] or [0]
        both = slice(begin, begin + prompt + first)
        outputs.append(_causal(query[:, :, both], key[:, :, both], value[:, :, both], scaling))
        begin = both.stop
        for length in others:
            own = slice(begin, begin + length)
            keys = torch.cat([key[:, :, past], key[:, :, own]], dim=2)
            values = torch.cat([value[:, :, past], value[:, :, own]], dim=2)
            outputs.append(_causal(query[:, :, own], keys, values, scaling))
            begin = own.stop
    return torch.cat(outputs, dim=2)


def _causal(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:
    """The rows of `query` are the last ones of `key`: each sees all before them, and itself."""
    attended = fast_attention(query, key, value, True, scaling)
    if attended is not None:
        return attended
    rows, keys = query.shape[2], key.shape[2]
    if rows == keys:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
    mask = torch.ones(rows, keys, dtype=torch.bool, device=query.device).tril(keys - rows)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling)


def _attention_function(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The signature that transformers' models call; the result is (1, T, heads, width)."""
    if attention_mask is None or attention_mask.dtype is not torch.int64:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask,
            scaling=scaling, sliding_window=sliding_window, softcap=softcap, **kwargs,
        )  # fmt: skip
    prefixes = attention_mask[:, 0, 0].tolist()
    longest = max(prompt + max(completions) for prompt, *completions in prefixes)
    if sliding_window is not None and sliding_window < longest:
        raise ValueError(f"a sliding window of {sliding_window} tokens is shorter than a prompt with its completion")
    if softcap is not None or kwargs.get("position_bias") is not None:
        raise ValueError("attention scores are changed before the softmax (softcap, position bias)")
    repeats = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, repeats), repeat_kv(value, repeats)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(query, key, value, prefixes, scaling).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, _attention_function)
AttentionMaskInterface.register(NAME, sdpa_mask)
