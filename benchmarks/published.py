"""Models as published, by their configurations alone (no weights), and pairs of usual lengths for them."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, InternVLConfig, PreTrainedConfig, Qwen2_5_VLConfig

from mixpo.batches.encode import Example

VIT_300M = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
    "image_size": [448, 448], "patch_size": [14, 14], "use_absolute_position_embeddings": True, "attention_bias": True,
    "norm_type": "layer_norm", "use_qk_norm": False,
}  # fmt: skip
VIT_6B = {
    "hidden_size": 3200, "num_hidden_layers": 45, "num_attention_heads": 25, "intermediate_size": 12800,
    "image_size": [448, 448], "patch_size": [14, 14], "use_absolute_position_embeddings": True, "attention_bias": False,
    "norm_type": "rms_norm", "use_qk_norm": True,
}  # fmt: skip
SMALL = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024}
QWEN_TOWER = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
    "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip


def language(kind: str, width: int, layers: int, heads: tuple[int, int], inner: int, vocabulary: int) -> dict[str, Any]:
    """A language model's configuration; `heads` are those of queries and of keys."""
    return {
        "model_type": kind, "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1], "intermediate_size": inner, "vocab_size": vocabulary,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    }  # fmt: skip


def internvl(vision: dict[str, Any], text: dict[str, Any]) -> InternVLConfig:
    return InternVLConfig(
        vision_config=vision, text_config=text, image_token_id=text["vocab_size"] - 7, downsample_ratio=0.5,
        image_seq_length=256, tie_word_embeddings=False,
    )  # fmt: skip


def qwen2_5_vl() -> Qwen2_5_VLConfig:
    text = language("qwen2_5_vl_text", 3584, 28, (28, 4), 18944, 152_064)
    text["rope_parameters"]["mrope_section"] = [16, 24, 24]
    return Qwen2_5_VLConfig(
        text_config=text, vision_config=QWEN_TOWER, image_token_id=151_655, video_token_id=151_656,
        vision_start_token_id=151_652, vision_end_token_id=151_653, tie_word_embeddings=False,
    )  # fmt: skip


MODELS: dict[str, Callable[[], PreTrainedConfig]] = {
    "internvl3-1b": lambda: internvl(VIT_300M, language("qwen2", 896, 24, (14, 2), 4864, 151_674)),
    "internvl3-2b": lambda: internvl(VIT_300M, language("qwen2", 1536, 28, (12, 2), 8960, 151_674)),
    "internvl3-8b": lambda: internvl(VIT_300M, language("qwen2", 3584, 28, (28, 4), 18944, 151_674)),
    "qwen2.5-vl-7b": qwen2_5_vl,
    "small": lambda: internvl({**VIT_300M, **SMALL}, language("qwen2", 512, 6, (8, 2), 2048, 32_064)),
    "internvl2-76b": lambda: internvl(VIT_6B, language("llama", 8192, 80, (64, 8), 28672, 128_265)),
}
"""InternVL3 and InternVL2 (OpenGVLab), Qwen2.5-VL (Qwen), from the `config.json` of their checkpoints; `small` is made
up, for tests."""


def make(config: PreTrainedConfig, dtype: torch.dtype = torch.float32, device: str = "cuda") -> Any:
    """The model with weights that nobody has set."""
    from transformers.initialization import no_init_weights

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device), no_init_weights():
            return AutoModelForImageTextToText.from_config(config)
    finally:
        torch.set_default_dtype(before)


def examples(
    config: Any,
    questions: int = 1,
    pairs: int = 4,
    tiles: int = 8,
    text: int = 60,
    lengths: tuple[int, ...] = (300, 350),
) -> list[Example]:
    """`pairs` pairs for each question, all completions different; an image of `tiles` x 256 tokens, `text` of text."""
    qwen = isinstance(config, Qwen2_5_VLConfig)
    found = []
    for question in range(questions):
        prompt = [10 + question] + [config.image_token_id] * (tiles * 256) + [11] * (text - 1)
        patches = torch.zeros(tiles * 1024, 1176) if qwen else torch.zeros(tiles, 3, 448, 448)
        grid = {"image_grid_thw": torch.tensor([[1, 64, tiles * 16]])} if qwen else {}
        found += [
            Example(
                prompt_ids=prompt,
                completions=[[100 * (side + 1) + pair] * length for side, length in enumerate(lengths)],
                image_inputs={"pixel_values": patches, **grid},
                positions=torch.arange(len(prompt)).expand(3, -1) if qwen else None,
                key=bytes([question]),
                image_key=bytes([question]),
            )
            for pair in range(pairs)
        ]
    return found
