"""Attention over packed shared-prefix rows: each completion sees its prompt and itself, and no work is spent on more.

`Batch.prefixes` says how a row is built. It reaches the attention layers as the model's `attention_mask`: transformers
hands a mask of four dimensions to them as it is. What is done with it, the attention implementation of the model says:

    mixpo_shared_prefix    (set by `prepare` where the model used SDPA) one SDPA call per part of the row; no mask
                           for a prompt and its first completion, one of (completion, prompt + completion) for others
    mixpo_flex_attention   (set by `prepare` for a GPU, where the model takes it) FlexAttention with a block mask; rows
                           are padded to whole blocks, and one compiled kernel serves rows of all lengths
    flex_attention         transformers' own call of it, where somebody chose it
    eager, others          a dense (1, 1, T, T) mask

The two of ours compute all other rows as `sdpa` does.
"""

import inspect
import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from mixpo.models.cpu_attention import fast_attention
from mixpo.models.prefix_mask import BLOCK, block_mask, visible
from mixpo.models.upload import upload

NAME = "mixpo_shared_prefix"
OWN_FLEX = "mixpo_flex_attention"
FLEX = ("flex_attention", OWN_FLEX)
SHARED = ("sdpa", "eager", NAME, *FLEX)
"""Implementations that do what a mask of four dimensions says; FlashAttention's own kernels take none."""
HALF = (torch.float16, torch.bfloat16)
CROSS_ATTENDED = {"cross_attention_states", "image_encoder_embeddings", "encoder_hidden_states"}
"""What the language models of such families call the images (transformers: Mllama, Idefics; encoder-decoders)."""
NARROW = 16
"""Narrower heads are nothing for FlexAttention's kernels."""


def decoder(model: Any) -> Any:
    """The language model: what is attended with, and told how in its config."""
    return model.get_decoder()


def prepare(model: Any, device: torch.device, flex: bool = True) -> None:
    """Chooses the attention of the language model for shared rows; other rows are computed as before.

    `device` is where the model will run: it may not be there yet. An implementation that somebody chose stays, other
    than `sdpa`, which is transformers' default. `flex`: whether a GPU may take FlexAttention.
    """
    config = decoder(model).config
    if config._attn_implementation in ("sdpa", NAME, OWN_FLEX):
        config._attn_implementation = OWN_FLEX if flex and _takes_flex(model, device) else NAME


def _takes_flex(model: Any, device: torch.device) -> bool:
    config = decoder(model).config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return device.type == "cuda" and getattr(decoder(model), "_supports_flex_attn", False) and width >= NARROW


def cross_attends(model: Any) -> bool:
    """Whether layers of the language model attend to images apart from its tokens (Llama-3.2-Vision), instead of
    reading them among the prompt's tokens."""
    return not CROSS_ATTENDED.isdisjoint(inspect.signature(decoder(model).forward).parameters)


def takes_shared_rows(model: Any) -> bool:
    """Whether the model's attention can be told who sees whom."""
    return decoder(model).config._attn_implementation in SHARED and not cross_attends(model)


def row_multiple(model: Any, device: torch.device) -> int:
    """Shared rows are padded to a multiple of so many tokens: lengths that differ in less share a compiled kernel."""
    return BLOCK if device.type == "cuda" and decoder(model).config._attn_implementation in FLEX else 1


def mask_for(model: Any, prefixes: Tensor, tokens: int, dtype: torch.dtype, device: torch.device) -> Any:
    """What to give the model as `attention_mask` for a row of `tokens` built as `prefixes` says, the rest padding."""
    implementation = decoder(model).config._attn_implementation
    if implementation == NAME:
        return _marked(prefixes, device)
    if implementation in FLEX:
        return block_mask(prefixes, tokens, device)
    sees = upload(visible(prefixes, tokens), device)[None, None]
    return torch.zeros(sees.shape, dtype=dtype, device=device).masked_fill_(~sees, torch.finfo(dtype).min)


def _marked(prefixes: Tensor, device: torch.device) -> Tensor:
    """(prompts, 1, 1, 1 + most completions), which nobody has to move, with the same numbers as lists on the host: no
    layer has to wait for them."""
    marker = upload(prefixes, device)[:, None, None]
    marker.lengths = prefixes.tolist()  # type: ignore[attr-defined]
    return marker


def attend(query: Tensor, key: Tensor, value: Tensor, prefixes: list[list[int]], scaling: float) -> Tensor:
    """`query` (1, heads, T, width), `key`, `value` (1, heads or a part of them, T, width) -> (1, heads, T, width)."""
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
    grouped = query.shape[1] != key.shape[1]
    if rows == keys:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped)
    if query.is_cuda:  # no mask is made where the kernels know this one
        from torch.nn.attention.bias import causal_lower_right  # a second's import of torch's compiler, for GPUs alone

        mask: Any = causal_lower_right(rows, keys)
    else:
        mask = torch.ones(rows, keys, dtype=torch.bool, device=query.device).tril(keys - rows)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scaling, enable_gqa=grouped)


def shared_prefix(
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
    prefixes = getattr(attention_mask, "lengths", None) or attention_mask[:, 0, 0].tolist()
    longest = max(prompt + max(completions) for prompt, *completions in prefixes)
    _refuse(longest, sliding_window, softcap, kwargs.get("position_bias"))
    query, key, value = _as_autocast(query, key, value)
    if not (query.is_cuda and query.dtype in HALF):  # the kernels for 16 bits alone read a head of keys several times
        repeats = query.shape[1] // key.shape[1]
        key, value = repeat_kv(key, repeats), repeat_kv(value, repeats)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend(query, key, value, prefixes, scaling).transpose(1, 2).contiguous(), None


def flex_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The same with a block mask."""
    if attention_mask is None or isinstance(attention_mask, Tensor):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask,
            scaling=scaling, sliding_window=sliding_window, softcap=softcap, **kwargs,
        )  # fmt: skip
    _refuse(getattr(attention_mask, "longest", math.inf), sliding_window, softcap, kwargs.get("position_bias"))
    query, key, value = _as_autocast(query, key, value)
    attended = _compiled_flex(query.is_cuda)(
        query, key, value, block_mask=attention_mask, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )
    return attended.transpose(1, 2).contiguous(), None


@cache
def _compiled_flex(dynamic: bool) -> Any:
    """FlexAttention; `dynamic`: for rows of any length from the start, so that it is compiled once with and once
    without a gradient (torch's C++ for a CPU knows one length at a time)."""
    from torch.nn.attention import flex_attention

    return torch.compile(flex_attention.flex_attention, dynamic=dynamic)


def _refuse(longest: float, sliding_window: int | None, softcap: float | None, position_bias: Any) -> None:
    """Raises ValueError for what the mask of a shared row does not say."""
    if sliding_window is not None and sliding_window < longest:
        raise ValueError(f"a sliding window of {sliding_window} tokens is shorter than a prompt with its completion")
    if softcap is not None or position_bias is not None:
        raise ValueError("attention scores are changed before the softmax (softcap, position bias)")


def _as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In autocast's type on a GPU: rotary embeddings widen queries and keys again, and torch casts for SDPA alone."""
    if not tensors[0].is_cuda or not torch.is_autocast_enabled("cuda"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cuda")) for tensor in tensors)


for name, function in ((NAME, shared_prefix), (OWN_FLEX, flex_attention)):
    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, sdpa_mask)
