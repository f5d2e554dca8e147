"""The configuration of an original InternVL chat checkpoint, said in transformers' terms.

Fields and defaults are the publisher's: `configuration_internvl_chat.py`, `configuration_intern_vit.py` and
`configuration_internlm2.py` of github.com/OpenGVLab/InternVL (MIT). What transformers' InternVL cannot compute exactly
is refused. Stochastic depth (`drop_path_rate`) is left out: it does nothing outside pre-training.
"""

import json
from pathlib import Path
from typing import Any

from transformers import InternVLConfig

from mixpo.errors import DataError, UserError
from mixpo.text_files import read_bytes

CHAT_DEFAULTS = {
    "select_layer": -1,
    "force_image_size": None,
    "downsample_ratio": 0.5,
    "template": None,
    "dynamic_image_size": False,
    "use_thumbnail": False,
    "pad2square": False,
    "ps_version": "v1",
    "min_dynamic_patch": 1,
    "max_dynamic_patch": 6,
    "use_backbone_lora": 0,
    "use_llm_lora": 0,
}
VISION_DEFAULTS = {
    "num_channels": 3,
    "patch_size": 14,
    "image_size": 224,
    "qkv_bias": False,
    "hidden_size": 3200,
    "num_attention_heads": 25,
    "intermediate_size": 12800,
    "qk_normalization": True,
    "num_hidden_layers": 48,
    "hidden_act": "gelu",
    "norm_type": "rms_norm",
    "layer_norm_eps": 1e-6,
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "initializer_range": 0.02,
    "initializer_factor": 0.1,
}
LANGUAGE_MODELS = {"InternLM2ForCausalLM": "llama", "LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2"}
"""The publisher's class -> transformers' model type. InternLM2 is Llama with the query, key and value weights fused."""

LANGUAGE_SIZES = (
    "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads max_position_embeddings "
    "rms_norm_eps"
).split()
LANGUAGE_OPTIONS = ("hidden_act", "initializer_range", "attention_dropout", "bos_token_id", "eos_token_id")
FAMILY_OPTIONS = {
    "llama": ("attention_bias", "mlp_bias", "pad_token_id"),
    "qwen2": ("use_sliding_window", "sliding_window", "max_window_layers", "pad_token_id"),
}


def read_json_object(path: Path) -> dict[str, Any]:
    """A JSON file that must hold an object. Raises DataError."""
    try:
        content = json.loads(read_bytes(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); give the folder of a whole checkpoint") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} does not hold a JSON object; download it again")
    return content


def read_chat_config(source: Path) -> dict[str, Any]:
    """The checkpoint's own config.json, the publisher's defaults filled in.

    Raises UserError when there is none, when it is not an original InternVL chat checkpoint, or when it asks for
    something that transformers' InternVL does not compute.
    """
    path = source / "config.json"
    if not path.is_file():
        raise DataError(f"{source} has no config.json; give the folder of an original InternVL chat checkpoint")
    found = read_json_object(path)
    kind = found.get("model_type")
    if kind == "internvl":
        raise UserError(f"{source} is in the transformers format already; use it as it stands")
    if kind != "internvl_chat":
        raise UserError(f"{path}: model_type {kind!r} is not 'internvl_chat'; only InternVL chat models are converted")
    for part in ("vision_config", "llm_config"):
        if not isinstance(found.get(part), dict):
            raise DataError(f"{path} has no {part}; download it again")
    chat = CHAT_DEFAULTS | found
    chat["vision_config"] = VISION_DEFAULTS | found["vision_config"]
    _refuse_what_differs(chat, path)
    return chat


def _refuse_what_differs(chat: dict[str, Any], path: Path) -> None:
    vision, language = chat["vision_config"], chat["llm_config"]
    architecture = _architecture(language)
    one_tile = not chat["dynamic_image_size"] or chat["max_dynamic_patch"] == 1
    reasons = {
        f"the language model {architecture} has no counterpart here (converted are {', '.join(LANGUAGE_MODELS)})": (
            architecture not in LANGUAGE_MODELS
        ),
        f"select_layer is {chat['select_layer']}, transformers' image features come from the last layer": (
            chat["select_layer"] != -1
        ),
        f"ps_version {chat['ps_version']!r} transposes the image, transformers' pixel shuffle is v2": (
            chat["ps_version"] != "v2"
        ),
        "it holds unmerged LoRA weights; merge them with the publisher's tools/merge_lora.py": (
            bool(chat["use_backbone_lora"] or chat["use_llm_lora"])
        ),
        "images are padded to squares (pad2square), transformers' processor stretches them": bool(chat["pad2square"]),
        "its tiles come without a thumbnail (use_thumbnail), transformers' processor always adds one": (
            not one_tile and not chat["use_thumbnail"]
        ),
        "queries and keys are normalised with another epsilon than transformers' 1e-6": (
            bool(vision["qk_normalization"]) and vision["layer_norm_eps"] != 1e-6
        ),
        "positions are V2PE's, which transformers does not have": language.get("rope_pos_id_version") == "v2pe",
    }
    for reason, applies in reasons.items():
        if applies:
            raise UserError(f"{path} cannot be converted: {reason}")


def _architecture(language: dict[str, Any]) -> str:
    names = language.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else "without a name"


def is_internlm2(chat: dict[str, Any]) -> bool:
    return _architecture(chat["llm_config"]) == "InternLM2ForCausalLM"


def image_tokens_a_tile(chat: dict[str, Any]) -> int:
    """(tile / patch)^2 patches, of which pixel shuffle makes downsample_ratio^2 as many tokens: 256 for 448 pixels."""
    return int((tile_size(chat) // chat["vision_config"]["patch_size"]) ** 2 * chat["downsample_ratio"] ** 2)


def tile_size(chat: dict[str, Any]) -> int:
    """Width and height of a tile in pixels. Position embeddings are interpolated when the tower's own size differs."""
    return chat["force_image_size"] or chat["vision_config"]["image_size"]


def make_config(chat: dict[str, Any], image_token_id: int, dtype: str, tied: bool) -> InternVLConfig:
    """transformers' configuration that computes what the publisher's code does. Raises DataError when a value is wrong.

    `tied`: the checkpoint stores no output head of its own.
    """
    from huggingface_hub.errors import StrictDataclassError

    try:
        return InternVLConfig(
            vision_config=_vision(chat["vision_config"]),
            text_config=_text(chat["llm_config"], dtype, tied),
            image_token_id=image_token_id,
            image_seq_length=image_tokens_a_tile(chat),
            downsample_ratio=chat["downsample_ratio"],
            tie_word_embeddings=tied,
            dtype=dtype,
            architectures=["InternVLForConditionalGeneration"],
        )
    except (StrictDataclassError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"config.json holds values that do not fit ({' '.join(str(error).split())})") from error


def _vision(vision: dict[str, Any]) -> dict[str, Any]:
    same = (
        "num_channels hidden_size intermediate_size num_hidden_layers num_attention_heads hidden_act norm_type "
        "layer_norm_eps attention_dropout initializer_range"
    )
    return {name: vision[name] for name in same.split()} | {
        "image_size": [vision["image_size"]] * 2,
        "patch_size": [vision["patch_size"]] * 2,
        "attention_bias": vision["qkv_bias"],
        "use_qk_norm": vision["qk_normalization"],
        "projection_dropout": vision["dropout"],
        "layer_scale_init_value": vision["initializer_factor"],
    }


def _text(language: dict[str, Any], dtype: str, tied: bool) -> dict[str, Any]:
    missing = [name for name in LANGUAGE_SIZES if name not in language]
    if missing:
        raise DataError(f"config.json: llm_config has no {missing[0]}; download it again")
    architecture = _architecture(language)
    family = LANGUAGE_MODELS[architecture]
    options = [name for name in (*LANGUAGE_OPTIONS, *FAMILY_OPTIONS[family]) if name in language]
    text = {name: language[name] for name in (*LANGUAGE_SIZES, *options)} | {
        "model_type": family,
        "num_key_value_heads": language.get("num_key_value_heads") or language["num_attention_heads"],
        "rope_parameters": _rope(language),
        "tie_word_embeddings": tied,
        "dtype": dtype,
    }
    if architecture == "InternLM2ForCausalLM":  # one flag for wqkv and wo; its MLP never has biases
        text |= {"attention_bias": language.get("bias", True), "mlp_bias": False}
    return text


def _rope(language: dict[str, Any]) -> dict[str, Any]:
    """Rotary embedding parameters. InternLM2's dynamic NTK scaling is transformers' `dynamic`, term for term:
    beyond L = max_position_embeddings the base is theta (s n / L - (s - 1))^(d / (d - 2)) for n positions, factor s."""
    theta = language.get("rope_theta", 10000.0)
    scaling = language.get("rope_scaling")
    if not scaling:
        return {"rope_type": "default", "rope_theta": theta}
    kind = scaling.get("rope_type", scaling.get("type"))
    if kind not in ("dynamic", "linear") or "factor" not in scaling:
        raise UserError(f"config.json: rope_scaling {scaling} cannot be converted; known are 'dynamic' and 'linear'")
    return {"rope_type": kind, "factor": scaling["factor"], "rope_theta": theta}
