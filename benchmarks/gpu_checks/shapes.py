"""Models of published sizes with random weights: InternVL3-1B, 2B and 8B."""

from typing import Any

import torch
from transformers import GenerationConfig, InternVLConfig, InternVLForConditionalGeneration
from transformers.initialization import no_init_weights

LANGUAGE = {  # width, layers, heads, of keys and values, inner width
    "internvl3-1b": (896, 24, 14, 2, 4864),
    "internvl3-2b": (1536, 28, 12, 2, 8960),
    "internvl3-8b": (3584, 28, 28, 4, 18944),
}


def config(name: str, image_token: int = 151_667, tiny: bool = False) -> InternVLConfig:
    """`tiny`: two narrow layers, for a rehearsal."""
    width, layers, heads, kv, inner = (128, 2, 4, 2, 256) if tiny else LANGUAGE[name]
    vision = {
        "hidden_size": 64 if tiny else 1024, "num_hidden_layers": 2 if tiny else 24,
        "num_attention_heads": 4 if tiny else 16, "intermediate_size": 128 if tiny else 4096,
        "image_size": [448, 448], "patch_size": [14, 14], "use_absolute_position_embeddings": True,
        "attention_bias": True, "norm_type": "layer_norm", "use_qk_norm": False,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv, "intermediate_size": inner, "vocab_size": 1000 if tiny else 151_674,
        "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6}, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip
    return InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=image_token, downsample_ratio=0.5,
        image_seq_length=256, tie_word_embeddings=False,
    )  # fmt: skip


def make(shape: InternVLConfig, dtype: torch.dtype, device: str) -> Any:
    """Made on the device at once. Random weights, not zeros: a GPU multiplies zeros faster."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), no_init_weights():
            model = InternVLForConditionalGeneration(shape)
    finally:
        torch.set_default_dtype(before)
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
