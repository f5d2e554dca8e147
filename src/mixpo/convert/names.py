"""Which tensors of transformers' InternVL a tensor of an original InternVL chat checkpoint becomes.

Original names: `modeling_intern_vit.py`, `modeling_internlm2.py` and `modeling_internvl_chat.py` of
github.com/OpenGVLab/InternVL (MIT).
"""

import re
from collections.abc import Callable, Sequence

from torch import Tensor

Split = Callable[[Tensor], Sequence[Tensor]]

VISION_LAYERS = {
    r"ls([12])": [r"lambda_\1"],
    r"norm1\.(weight|bias)": [r"layernorm_before.\1"],
    r"norm2\.(weight|bias)": [r"layernorm_after.\1"],
    r"mlp\.(fc[12]\.(?:weight|bias))": [r"mlp.\1"],
    r"attn\.proj\.(weight|bias)": [r"attention.projection_layer.\1"],
    r"attn\.([qk]_norm\.weight)": [r"attention.\1"],
    r"attn\.qkv\.(weight|bias)": [rf"attention.{name}_proj.\1" for name in "qkv"],
}
INTERNLM2_LAYERS = {
    r"attention\.wqkv\.(weight|bias)": [rf"self_attn.{name}_proj.\1" for name in "qkv"],
    r"attention\.wo\.(weight|bias)": [r"self_attn.o_proj.\1"],
    r"feed_forward\.w1\.weight": ["mlp.gate_proj.weight"],
    r"feed_forward\.w2\.weight": ["mlp.down_proj.weight"],
    r"feed_forward\.w3\.weight": ["mlp.up_proj.weight"],
    r"attention_norm\.weight": ["input_layernorm.weight"],
    r"ffn_norm\.weight": ["post_attention_layernorm.weight"],
}
VISION = {
    r"class_embedding": "cls_token",
    r"position_embedding": "position_embeddings",
    r"patch_embedding\.(weight|bias)": r"patch_embeddings.projection.\1",
}
PROJECTOR = {"0": "layer_norm", "1": "linear_1", "3": "linear_2"}

Rules = list[tuple[str, list[str]]]


def _in_layers(layers: dict[str, list[str]], old: str, new: str) -> Rules:
    """`\\1` in a rule of a layer becomes `\\2`: the layer's number comes first."""
    return [
        (rf"{old}\.(\d+)\.{pattern}", [rf"{new}.\1.{name.replace(chr(92) + '1', chr(92) + '2')}" for name in names])
        for pattern, names in layers.items()
    ]


SHARED: Rules = [
    *((rf"vision_model\.embeddings\.{old}", [f"model.vision_tower.embeddings.{new}"]) for old, new in VISION.items()),
    *_in_layers(VISION_LAYERS, r"vision_model\.encoder\.layers", "model.vision_tower.encoder.layer"),
    *((rf"mlp1\.{old}\.(weight|bias)", [rf"model.multi_modal_projector.{new}.\1"]) for old, new in PROJECTOR.items()),
    (r"language_model\.model\.norm\.weight", ["model.language_model.norm.weight"]),
]
INTERNLM2: Rules = [
    (r"language_model\.model\.tok_embeddings\.weight", ["model.language_model.embed_tokens.weight"]),
    (r"language_model\.output\.weight", ["lm_head.weight"]),
    *_in_layers(INTERNLM2_LAYERS, r"language_model\.model\.layers", "model.language_model.layers"),
]
PLAIN: Rules = [
    (r"language_model\.lm_head\.weight", ["lm_head.weight"]),
    (r"language_model\.model\.(embed_tokens\.weight|layers\..+)", [r"model.language_model.\1"]),
]
"""Llama and Qwen2 keep transformers' own names."""

HEADS = ("language_model.lm_head.weight", "language_model.output.weight")


def target_names(name: str, internlm2: bool) -> tuple[str, ...]:
    """The target tensors of a source tensor: one, or query, key and value; none when nothing corresponds to it."""
    for pattern, targets in SHARED + (INTERNLM2 if internlm2 else PLAIN):
        match = re.fullmatch(pattern, name)
        if match:
            return tuple(match.expand(target) for target in targets)
    return ()


def split_for(name: str, heads: int, kv_heads: int) -> Split:
    """How a source tensor is cut into its targets; `heads` and `kv_heads` are the language model's."""
    if ".attn.qkv." in name:
        return split_vision_qkv
    if ".attention.wqkv." in name:
        return lambda tensor: split_wqkv(tensor, heads, kv_heads)
    return lambda tensor: (tensor,)


def split_vision_qkv(qkv: Tensor) -> tuple[Tensor, ...]:
    """(3 hidden, ...) -> query, key and value, each (hidden, ...): InternViT stacks them one after the other."""
    return qkv.unflatten(0, (3, -1)).unbind(0)


def split_wqkv(wqkv: Tensor, heads: int, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """InternLM2's fused projection, ((heads + 2 kv_heads) head_dim, ...), as query, key and value.

    Its rows go by key-value head: the query heads that share it, then its key, then its value
    (`rearrange(qkv, 'b q (h gs d) -> b q h gs d')` in `modeling_internlm2.py`).
    """
    groups = heads // kv_heads
    by_head = wqkv.unflatten(0, (kv_heads, groups + 2, -1))  # (kv_heads, groups + 2, head_dim, ...)
    query, key, value = by_head.split([groups, 1, 1], dim=1)
    return query.flatten(0, 2), key.flatten(0, 2), value.flatten(0, 2)
