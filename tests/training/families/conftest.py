"""A tiny random checkpoint of every family: config, weights, tokenizer, chat template, processor."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers as t
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LINE = "how many red circles are left of the blue square let me look closely final answer one two three"
WORDS = LINE.split()
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}IMAGE{% elif part['type'] == 'video' %}VIDEO"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CLIP = {
    "model_type": "clip_vision_model", "image_size": 28, "patch_size": 14, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 32, "projection_dim": 16,
}  # fmt: skip
SIGLIP = {**CLIP, "model_type": "siglip_vision_model", "vision_use_head": False}
QWEN_TOKENS = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
IDEFICS_TOKENS = {
    "image_token": "<image>", "fake_image_token": "<fake_token_around_image>", "global_image_token": "<global-img>",
    "end_of_utterance_token": "<end_of_utterance>",
}  # fmt: skip
TILES = [[28, 56], [56, 28]]


@dataclass(frozen=True)
class Family:
    name: str
    model: Any
    processor: Any

    def takes(self, row: dict[str, Any]) -> bool:
        """PaliGemma's processor wants an image in every row."""
        return bool(row["images"]) or self.name != "paligemma"


def tokenizer_of(tokens: dict[str, str], image: str, video: str = "", **options: Any) -> Any:
    """Byte-level BPE; `tokens` become its special tokens and attributes, `image` stands for an image in a message."""
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", *tokens.values()]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    plain.train_from_iterator([LINE] * 5, trainer)
    template = TEMPLATE.replace("IMAGE", image).replace("VIDEO", video)
    return t.PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token="<|endoftext|>",
        extra_special_tokens=tokens, padding_side="left", chat_template=template, **options,
    )  # fmt: skip


def text(kind: str, tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "model_type": kind, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 48, "max_position_embeddings": 512,
        "vocab_size": len(tokenizer) + 8, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id, "tie_word_embeddings": False, **more,
    }  # fmt: skip


def internvl() -> tuple[Any, Any, Any]:
    names = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"}
    tokenizer = tokenizer_of({**names, "video_token": "<video>"}, "<IMG_CONTEXT>", "<video>")
    size = {"height": 28, "width": 28}
    vision = {
        "image_size": [28, 28], "patch_size": [14, 14], "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 32,
    }  # fmt: skip
    config = t.InternVLConfig(
        vision_config=vision, text_config=text("qwen2", tokenizer), image_seq_length=1, tie_word_embeddings=False,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), downsample_ratio=0.5,
    )  # fmt: skip
    processor = t.InternVLProcessor(
        image_processor=t.GotOcr2ImageProcessor(size=size, min_patches=1, max_patches=3), tokenizer=tokenizer,
        video_processor=t.InternVLVideoProcessor(size=size), image_seq_length=1, chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.InternVLForConditionalGeneration, config, processor


def _qwen(version: str, kind: str, patch: int, vision: dict[str, Any], rope: dict[str, Any]) -> tuple[Any, Any, Any]:
    places = (f"<|vision_start|><|{kind}_pad|><|vision_end|>" for kind in ("image", "video"))
    tokenizer = tokenizer_of(QWEN_TOKENS, *places)
    markers = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    tower = {
        "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
        "patch_size": patch, "spatial_merge_size": 2, "temporal_patch_size": 2, **vision,
    }  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0, **rope}
    config = getattr(t, f"{version}Config")(
        vision_config=tower, text_config=text(kind, tokenizer, rope_parameters=rope), tie_word_embeddings=False,
        **dict(zip(names, tokenizer.convert_tokens_to_ids(markers), strict=True)),
    )  # fmt: skip
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": (6 * patch) ** 2}
    films = t.Qwen3VLVideoProcessor if version == "Qwen3VL" else t.Qwen2VLVideoProcessor
    size_of_films = {"shortest_edge": size["shortest_edge"], "longest_edge": 8 * size["longest_edge"]}
    processor = getattr(t, f"{version}Processor")(
        image_processor=t.Qwen2VLImageProcessor(patch_size=patch, merge_size=2, size=size), tokenizer=tokenizer,
        video_processor=films(patch_size=patch, merge_size=2, size=size_of_films, cap_pixels_per_frame=False),
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return getattr(t, f"{version}ForConditionalGeneration"), config, processor


def qwen2_5_vl() -> tuple[Any, Any, Any]:
    return _qwen("Qwen2_5_VL", "qwen2_5_vl_text", 14, {"fullatt_block_indexes": [0], "window_size": 56}, {})


def qwen3_vl() -> tuple[Any, Any, Any]:
    vision = {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    return _qwen("Qwen3VL", "qwen3_vl_text", 16, vision, {"mrope_interleaved": True})


def _llava(config_type: Any, tokenizer: Any, tower: dict[str, Any], kind: str, **more: Any) -> Any:
    return config_type(
        vision_config=tower, text_config=text(kind, tokenizer), image_token_id=tokenizer.image_token_id,
        tie_word_embeddings=False, **more,
    )  # fmt: skip


def llava() -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of({"image_token": "<image>"}, "<image>")
    config = _llava(t.LlavaConfig, tokenizer, CLIP, "llama", image_seq_length=4, vision_feature_layer=-1)
    pictures = t.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = t.LlavaProcessor(
        image_processor=pictures, tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.LlavaForConditionalGeneration, config, processor


def llava_next() -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of({"image_token": "<image>"}, "<image>")
    config = _llava(t.LlavaNextConfig, tokenizer, CLIP, "mistral", image_grid_pinpoints=TILES, vision_feature_layer=-1)
    config.text_config.sliding_window = None  # as the published checkpoints have it
    size, crop = {"shortest_edge": 28}, {"height": 28, "width": 28}
    processor = t.LlavaNextProcessor(
        image_processor=t.LlavaNextImageProcessor(size=size, crop_size=crop, image_grid_pinpoints=TILES),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.LlavaNextForConditionalGeneration, config, processor


def llava_onevision() -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of({"image_token": "<image>", "video_token": "<video>"}, "<image>", "<video>")
    size = {"height": 28, "width": 28}
    config = _llava(
        t.LlavaOnevisionConfig, tokenizer, SIGLIP, "qwen2", video_token_id=tokenizer.video_token_id,
        image_grid_pinpoints=TILES,
    )  # fmt: skip
    processor = t.LlavaOnevisionProcessor(
        image_processor=t.LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=TILES), tokenizer=tokenizer,
        video_processor=t.LlavaOnevisionVideoProcessor(size=size), num_image_tokens=4,
        vision_feature_select_strategy="full", chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.LlavaOnevisionForConditionalGeneration, config, processor


def _idefics(version: str, **more: Any) -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of(IDEFICS_TOKENS, "<image>", bos_token="<|im_start|>")
    vision = {
        "image_size": 32, "patch_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32,
    }  # fmt: skip
    config = getattr(t, f"{version}Config")(
        vision_config=vision, text_config=text("llama", tokenizer), image_token_id=tokenizer.image_token_id,
        scale_factor=2, tie_word_embeddings=False, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    pictures = getattr(t, f"{version}ImageProcessor")(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=False
    )
    processor = getattr(t, f"{version}Processor")(
        image_processor=pictures, tokenizer=tokenizer, image_seq_len=4, chat_template=tokenizer.chat_template, **more
    )
    return getattr(t, f"{version}ForConditionalGeneration"), config, processor


def idefics3() -> tuple[Any, Any, Any]:
    return _idefics("Idefics3")


def smolvlm() -> tuple[Any, Any, Any]:
    size = {"longest_edge": 32}
    return _idefics("SmolVLM", video_processor=t.SmolVLMVideoProcessor(size=size, max_image_size=size))


def gemma3() -> tuple[Any, Any, Any]:
    names = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = tokenizer_of(names, "<start_of_image>", bos_token="<|im_start|>")
    language = text("gemma3_text", tokenizer, query_pre_attn_scalar=16, sliding_window=256)
    config = t.Gemma3Config(
        vision_config=SIGLIP, text_config=language, mm_tokens_per_image=4, tie_word_embeddings=True,
        boi_token_index=tokenizer.boi_token_id, eoi_token_index=tokenizer.eoi_token_id,
        image_token_index=tokenizer.image_token_id, image_token_id=tokenizer.image_token_id,
    )  # fmt: skip
    processor = t.Gemma3Processor(
        image_processor=t.Gemma3ImageProcessor(size={"height": 28, "width": 28}), tokenizer=tokenizer,
        image_seq_length=4, chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.Gemma3ForConditionalGeneration, config, processor


def mistral3() -> tuple[Any, Any, Any]:
    names = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    tokenizer = tokenizer_of(names, "[IMG]")
    vision = {
        "model_type": "pixtral", "image_size": 56, "patch_size": 14, "hidden_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "head_dim": 8, "intermediate_size": 32,
    }  # fmt: skip
    config = _llava(t.Mistral3Config, tokenizer, vision, "mistral", spatial_merge_size=2, vision_feature_layer=-1)
    config.text_config.sliding_window = None  # as the published checkpoints have it
    pictures = t.PixtralImageProcessor(size={"longest_edge": 56}, patch_size={"height": 14, "width": 14})
    processor = t.PixtralProcessor(
        image_processor=pictures, tokenizer=tokenizer, patch_size=14, spatial_merge_size=2,
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    return t.Mistral3ForConditionalGeneration, config, processor


def paligemma() -> tuple[Any, Any, Any]:
    """PaliGemma 2: a bidirectional prompt, and logits that are capped (here at 4, so that it shows)."""
    tokenizer = tokenizer_of({"image_token": "<image>"}, "<image>", bos_token="<|im_start|>")
    pictures = t.SiglipImageProcessor(size={"height": 28, "width": 28})
    pictures.image_seq_length = 4
    processor = t.PaliGemmaProcessor(
        image_processor=pictures, tokenizer=tokenizer, chat_template=tokenizer.chat_template
    )
    language = text("gemma2", tokenizer, query_pre_attn_scalar=16, sliding_window=256, final_logit_softcapping=4.0)
    language["vocab_size"] = len(tokenizer)
    config = t.PaliGemmaConfig(
        vision_config=SIGLIP, text_config=language, projection_dim=32, image_token_index=tokenizer.image_token_id,
        image_token_id=tokenizer.image_token_id,
    )  # fmt: skip
    return t.PaliGemmaForConditionalGeneration, config, processor


def mllama() -> tuple[Any, Any, Any]:
    """Llama-3.2-Vision: images are no tokens of the prompt; every second layer attends to them (cross-attention)."""
    tokens = {"image_token": "<|image|>", "python_token": "<|python_tag|>"}
    tokenizer = tokenizer_of(tokens, "<|image|>", bos_token="<|begin_of_text|>")
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template  # as meta-llama's begins
    language = text(
        "mllama_text_model", tokenizer, num_hidden_layers=4, cross_attention_layers=[1, 3],
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    vision = {
        "image_size": 28, "patch_size": 14, "hidden_size": 16, "num_hidden_layers": 2, "num_global_layers": 1,
        "attention_heads": 2, "intermediate_size": 32, "intermediate_layers_indices": [0], "vision_output_dim": 32,
    }  # fmt: skip
    config = t.MllamaConfig(
        vision_config=vision, text_config=language, image_token_index=tokenizer.image_token_id, pad_token_id=None
    )
    pictures = t.MllamaImageProcessor(size={"height": 28, "width": 28}, max_image_tiles=4)
    processor = t.MllamaProcessor(pictures, tokenizer, chat_template=tokenizer.chat_template)
    return t.MllamaForConditionalGeneration, config, processor


BUILDERS = (
    internvl, qwen2_5_vl, qwen3_vl, llava, llava_next, llava_onevision, idefics3, smolvlm, gemma3, mistral3, paligemma,
    mllama,
)  # fmt: skip


@pytest.fixture(scope="session")
def builders() -> dict[str, Any]:
    return {builder.__name__: builder for builder in BUILDERS}


@pytest.fixture(scope="session", params=BUILDERS, ids=lambda builder: builder.__name__)
def family(request) -> Family:
    model_class, config, processor = request.param()
    torch.manual_seed(0)
    return Family(request.param.__name__, randomised(model_class(config)), processor)


def randomised(model: Any) -> Any:
    """Weights of 0.02 would make every next token about equally likely, and every bug invisible."""
    torch.manual_seed(0)
    for parameter in model.eval().parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(std=0.2)
        elif not parameter.any() and parameter.numel() == 1:
            parameter.data.fill_(0.7)  # Mllama's gates begin closed
    for name in ("eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, getattr(model.config.get_text_config(), name))
    return model


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Seven rows of different lengths: tall, wide and square images, one row with two of them, one without."""
    rng = random.Random(0)

    def words() -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))

    def picture(width: int, height: int) -> Image.Image:
        return Image.frombytes("RGB", (width, height), rng.randbytes(width * height * 3))

    sizes = [[(60, 80)], [(90, 40)], [(50, 50)], [(40, 90)], [(60, 60), (30, 70)], [(80, 60)], []]
    return [
        {
            "images": [picture(*size) for size in given],
            "prompt": [{"role": "user", "content": words()}],
            "chosen": words(),
            "rejected": words(),
        }
        for given in sizes
    ]
