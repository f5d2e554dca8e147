"""The small base model that ships with the package, before training: tokenizer, processor, random weights.

An InternVL architecture (Chen et al. 2023, arXiv 2312.14238) of 1.1 M parameters: 64 x 64 pixel tiles,
patches of 8 pixels, pixel shuffle 0.5, hence 16 image tokens a tile, and a Qwen2 language model of
4 layers x 128. `recipes/base.yaml` trains it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
)

from mixpo.errors import DataError
from mixpo.files import RunFiles
from mixpo.models.weight_files import new_model, refuse_damaged
from mixpo.progress import say
from mixpo.prompts import Style, instruction
from mixpo.references import Demonstrations, Output

IMAGE_TOKENS = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
TILE = 64
PATCH = 8
TOKENS_A_TILE = (TILE // PATCH // 2) ** 2
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_tokenizer(texts: Iterable[str], vocab_size: int = 768) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on `texts`; every string can be encoded, whatever its script."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *IMAGE_TOKENS.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        extra_special_tokens=IMAGE_TOKENS,
        model_max_length=1024,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
    )


def make_processor(tokenizer: PreTrainedTokenizerFast) -> InternVLProcessor:
    """Images become one tile, or up to three with a thumbnail when they are wide or tall."""
    size = {"height": TILE, "width": TILE}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=3),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=TOKENS_A_TILE,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> InternVLForConditionalGeneration:
    """Random weights, standard deviation 0.08 (about 1/sqrt(width)): at transformers' 0.02 a model of
    this width learns to describe scenes but not to filter and count."""
    vision = {
        "image_size": [TILE, TILE],
        "patch_size": [PATCH, PATCH],
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 192,
        "initializer_range": 0.08,
        "use_absolute_position_embeddings": True,
        "layer_scale_init_value": 1.0,
    }
    text = {
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "intermediate_size": 352,
        "initializer_range": 0.08,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = InternVLConfig(
        vision_config=vision,
        text_config=text,
        downsample_ratio=0.5,
        image_seq_length=TOKENS_A_TILE,
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return model


WRITES = (Output.MODEL,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Which texts the tokenizer is trained on."""

    name: str = "base_model"
    """The section's name: the model goes to `checkpoints/<name>/model`."""
    seed: int = 0
    """Seed of the random weights."""
    demonstrations: Demonstrations = "demonstrations"
    """The section whose prompts and completions the tokenizer learns."""
    texts: int = 5000
    """How many of them are read."""
    vocab_size: int = 768
    """Entries of the tokenizer's vocabulary, bytes and special tokens among them; drawn scenes need few words."""


def run(config: Config, files: RunFiles) -> None:
    """Writes a complete untrained checkpoint: weights, config, tokenizer, chat template, processor."""
    folder = files.checkpoints(config.name)
    if (folder / "model").exists():
        refuse_damaged(folder / "model")
        say(f"{config.name}: there already ({folder / 'model'})")
        return
    records = list(islice(files.demonstrations(config.demonstrations), config.texts))
    if not records:
        raise DataError(f"section {config.demonstrations!r} has no demonstrations; run it before {config.name!r}")
    # Every prompt style is in the vocabulary, whether or not the demonstrations use it.
    instructions = [instruction(style) for style in Style if style is not Style.AUTO]
    texts = [text for record in records for text in (record.prompt, record.text)] + instructions * 30
    tokenizer = make_tokenizer(texts, config.vocab_size)
    model = make_model(tokenizer, config.seed)
    with new_model(folder / "model") as place:
        model.save_pretrained(place)
        make_processor(tokenizer).save_pretrained(place)
    say(f"{config.name}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens")
