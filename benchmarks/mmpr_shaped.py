"""A model and preference pairs of MMPR's shape, drawn here, for the benchmarks of training.

Prompt: 4 images of 448 x 448 pixels (256 tokens each) and 60 text tokens. Completions: 300 and 350 tokens. InternVL
architecture, 83 M parameters (vision 4 x 192, language 8 x 640), a vocabulary of 32,000: the vision tower takes about
the share of a forward pass that InternVL2-8B's takes (a tenth).
"""

import random
from typing import Any

import torch
from PIL import Image
from transformers import (
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
)

from mixpo.batches.encode import Encoder
from mixpo.models.base_model import make_tokenizer
from mixpo.models.shape import Prompt

TILE, PATCH = 448, 14
TOKENS_A_TILE = 256
# No newline after the end of a turn: TRL would train on it, and losses could not be compared.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WORDS = ("red", "blue", "circle", "square", "left", "right", "count", "three", "minus", "plus")


def make_processor() -> InternVLProcessor:
    tokenizer = make_tokenizer([" " + " ".join(WORDS)] * 20, 400)
    tokenizer.model_max_length = 100_000
    size = {"height": TILE, "width": TILE}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=1),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=TOKENS_A_TILE,
        chat_template=TEMPLATE,
    )


def make_model(processor: InternVLProcessor, vocabulary: int = 32_000, seed: int = 0) -> Any:
    tokenizer = processor.tokenizer
    vision = {
        "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH], "hidden_size": 192, "num_hidden_layers": 4,
        "num_attention_heads": 3, "intermediate_size": 768, "use_absolute_position_embeddings": True,
        "layer_scale_init_value": 1.0,
    }  # fmt: skip
    text = {
        "model_type": "qwen2", "vocab_size": vocabulary, "hidden_size": 640, "num_hidden_layers": 8,
        "num_attention_heads": 10, "num_key_value_heads": 10, "intermediate_size": 1728,
        "max_position_embeddings": 8192, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": False, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config = InternVLConfig(
        vision_config=vision, text_config=text, downsample_ratio=0.5, image_seq_length=TOKENS_A_TILE,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config)
    model.name_or_path = ""
    return model


def make_rows(
    questions: int, pairs: int = 1, images: int = 4, prompt: int = 60, chosen: int = 300, rejected: int = 350
) -> list[dict[str, Any]]:
    """Rows in TRL's conversational format, `pairs` of them a question, all completions different."""
    rng = random.Random(0)
    rows = []
    for question in range(questions):
        pictures = [Image.effect_noise((TILE, TILE), 60 + question + number).convert("RGB") for number in range(images)]
        asked = words(rng, prompt)
        for _ in range(pairs):
            rows.append(
                {
                    "question_id": str(question),
                    "images": pictures,
                    "prompt": [{"role": "user", "content": asked}],
                    "chosen": [{"role": "assistant", "content": words(rng, chosen)}],
                    "rejected": [{"role": "assistant", "content": words(rng, rejected)}],
                }
            )
    return rows


def words(rng: random.Random, count: int) -> str:
    """`count` tokens of the benchmark's tokenizer: each word behind a space is one."""
    return "".join(f" {rng.choice(WORDS)}" for _ in range(count))


def prompt_of(processor: InternVLProcessor, rows: list[dict[str, Any]]) -> Prompt:
    """Lengths of one question's rows, as the cost of a step is counted from."""
    examples = [Encoder(processor)(row) for row in rows]
    tiles = len(rows[0]["images"])
    return Prompt(
        tokens=len(examples[0].prompt_ids),
        completions=tuple(len(completion) for example in examples for completion in example.completions),
        images=((TILE // PATCH) ** 2 + 1,) * tiles,  # patches and a class token
        image_tokens=TOKENS_A_TILE * tiles,
    )
