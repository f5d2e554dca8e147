"""The small base model that ships with the package, before training: tokenizer, processor, random weights.

An InternVL architecture (Chen et al. 2023, arXiv 2312.14238), with pixel shuffle 0.5 and a Qwen2 language model. The
one that ships has 1.1 M parameters: tiles of 64 x 64 pixels in patches of 8, hence 16 image tokens a tile, and 4 layers
x 128. `recipes/base.yaml` trains it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
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
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


VISION_HEAD = 32
"""Width of a head of the vision tower."""
HEADS = 8
"""Attention heads of the language model, whose width is even: positions turn pairs of numbers."""


@dataclass(frozen=True, kw_only=True)
class BaseShape:
    """How large the model is."""

    tile: int = 64
    """Pixels of a tile's side."""
    patch: int = 8
    """Pixels of a patch's side; four patches become one image token."""
    tiles: int = 3
    """Most tiles of a wide or tall picture, a thumbnail beside them; 1: every picture is one tile."""
    vision_width: int = 64
    """Of the vision tower: numbers that a patch is."""
    vision_layers: int = 2
    """Of the vision tower."""
    width: int = 128
    """Of the language model: numbers that a token is."""
    layers: int = 4
    """Of the language model."""

    def __post_init__(self) -> None:
        sizes = (self.tile, self.patch, self.tiles, self.vision_width, self.vision_layers, self.width, self.layers)
        if min(sizes) < 1:
            raise ValueError("tile, patch, tiles, widths and layers must be at least 1")
        if self.tile % (2 * self.patch):
            raise ValueError(f"tile must be a multiple of {2 * self.patch} pixels, two patches")
        if self.vision_width % VISION_HEAD or self.width % (2 * HEADS):
            raise ValueError(f"vision_width must be a multiple of {VISION_HEAD}, width of {2 * HEADS}")

    @property
    def tokens(self) -> int:
        """Image tokens of a tile."""
        return (self.tile // self.patch // 2) ** 2


SHIPPED = BaseShape()


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


def make_processor(tokenizer: PreTrainedTokenizerFast, shape: BaseShape = SHIPPED) -> InternVLProcessor:
    """Images become one tile, or several with a thumbnail when they are wide or tall."""
    size = {"height": shape.tile, "width": shape.tile}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=shape.tiles),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=shape.tokens,
        chat_template=CHAT_TEMPLATE,
    )


def make_model(
    tokenizer: PreTrainedTokenizerFast, seed: int, shape: BaseShape = SHIPPED
) -> InternVLForConditionalGeneration:
    """Random weights, standard deviation 0.08 (about 1/sqrt(width)): at transformers' 0.02 a model of
    this width learns to describe scenes but not to filter and count."""
    vision = {
        "image_size": [shape.tile, shape.tile],
        "patch_size": [shape.patch, shape.patch],
        "hidden_size": shape.vision_width,
        "num_hidden_layers": shape.vision_layers,
        "num_attention_heads": shape.vision_width // VISION_HEAD,
        "intermediate_size": 3 * shape.vision_width,
        "initializer_range": 0.08,
        "use_absolute_position_embeddings": True,
        "layer_scale_init_value": 1.0,
    }
    text = {
        "model_type": "qwen2",
        "vocab_size": len(tokenizer),
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "intermediate_size": 11 * shape.width // 4,
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
        image_seq_length=shape.tokens,
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
    """Which texts the tokenizer is trained on, and how large the model is."""

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
    shape: BaseShape = field(default_factory=BaseShape)
    """How large the model is."""


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
    model = make_model(tokenizer, config.seed, config.shape)
    with new_model(folder / "model") as place:
        model.save_pretrained(place)
        make_processor(tokenizer, config.shape).save_pretrained(place)
    say(f"{config.name}: {model.num_parameters():,} parameters, {len(tokenizer)} tokens")
