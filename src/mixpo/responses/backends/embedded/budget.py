"""How many tokens' keys and values are kept at once."""

from typing import Any

import torch

ON_CPU = 65_536
"""Tokens, where nothing says how much memory there is to take."""
LEAST = 64
"""Tokens that are tried even on a GPU that seems to have no memory left for them."""
RESERVED = 2 * 2**30
"""Bytes of a GPU left to a forward pass: of prompts and images (0.9 GiB for InternVL3-8B), of a step's logits."""
SHARE = 0.85
"""Share of the rest that is taken: memory grows a layer at a time, old and new side by side, and is fragmented."""


def token_budget(model: Any, given: int | str) -> int:
    """`given`, or for "auto" what fits into the free memory of the model's GPU, its weights loaded."""
    if given != "auto":
        return int(given)
    if model.device.type != "cuda":
        return ON_CPU
    free, _ = torch.cuda.mem_get_info(model.device)
    # What torch has got from the device and does not use now.
    free += torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
    return max(LEAST, int(SHARE * (free - RESERVED)) // token_bytes(model))


def token_bytes(model: Any) -> int:
    """Keys and values of one token, in bytes."""
    config = model.config.get_text_config(decoder=True)
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    return 2 * config.num_hidden_layers * key_heads * width * model.dtype.itemsize
