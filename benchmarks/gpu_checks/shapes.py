"""Models of published sizes with random weights."""

from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedConfig

import published


def config(name: str, image_token: int, tiny: bool = False) -> PreTrainedConfig:
    """A published InternVL's (`published.MODELS`), with the processor's image token; `tiny`: for a rehearsal."""
    shape = published.MODELS["internvl3-1b" if tiny else name]()
    shape.image_token_id = image_token
    if tiny:
        text, vision = shape.text_config, shape.vision_config
        text.hidden_size, text.num_attention_heads, text.num_key_value_heads = 128, 4, 2
        text.intermediate_size, text.vocab_size = 256, 1000
        vision.hidden_size, vision.num_attention_heads, vision.intermediate_size = 64, 4, 128
        text.num_hidden_layers = vision.num_hidden_layers = 2
        text.layer_types = ["full_attention"] * 2
    shape.text_config.bos_token_id = shape.text_config.eos_token_id = None
    return shape


def make(shape: PreTrainedConfig, dtype: torch.dtype, device: str) -> Any:
    """Made on the device at once. Random weights, not zeros: a GPU multiplies zeros faster."""
    model = published.make(shape, dtype, device)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.02)
            else:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
    model.generation_config = GenerationConfig()
    model.name_or_path = ""
    return model
