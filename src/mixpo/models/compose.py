"""`mixpo compose`: a vision-language checkpoint out of a language model and a vision tower, with a new projector.

How LLaVA-type models begin (Liu et al. 2023, arXiv 2304.08485, section 4.2): the tower and the language model keep
their weights; what lies between them is random, and is trained first (`freeze:` in a recipe). On text alone the new
checkpoint is the language model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers.utils import logging

from mixpo.errors import UserError
from mixpo.files import BASE_MODEL, RunFiles
from mixpo.models.base_model import IMAGE_TOKENS
from mixpo.models.checked import reason_of, refuse_crafted
from mixpo.models.composable import (
    one_template,
    refuse_broken,
    refuse_missing,
    refuse_other_logits,
    refuse_other_parts,
    refuse_other_pictures,
    refuse_other_tokens,
    refuse_template,
)
from mixpo.models.found import GGUF, found, found_language
from mixpo.models.load import load_config, load_model
from mixpo.models.weight_files import new_model
from mixpo.progress import say
from mixpo.references import Model, Output

PARTS_AS_TEXT = (
    "{%- set all = namespace(messages=[]) -%}{%- for message in messages -%}"
    "{%- set said = namespace(text='') -%}"
    "{%- if message['content'] is string -%}{%- set said.text = message['content'] -%}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{%- set said.text = said.text + 'IMAGE\n' -%}"
    "{%- elif part['type'] == 'text' -%}{%- set said.text = said.text + part['text'] -%}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- set all.messages = all.messages + [dict(message, content=said.text)] -%}"
    "{%- endfor -%}{%- set messages = all.messages %}\n"
)
"""Before a language model's chat template: a message's parts become the text that it knows, pictures a line each. The
line end goes (templates are rendered with `trim_blocks`), so that the template begins a line, as it did."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower that is there, with what prepares its pictures."""

    module: nn.Module
    config: Any
    image_processor: Any


@dataclass(frozen=True, slots=True)
class Join:
    """How a family of models joins towers of a kind to a language model."""

    tokens: dict[str, str]
    """The tokens that the tokenizer gets, under the names by which the family's processor asks for them."""
    image: str
    """Which of them stands for a picture."""
    model: Callable[[Tower, Any, int], Any]
    """The model of a tower, a text config and the image token's id, all its weights random."""
    processor: Callable[[Tower, Any, str], Any]
    """The processor of a tower, a tokenizer and a chat template."""


WRITES = (Output.MODEL,)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What is joined. `mixpo compose` does the same without a recipe."""

    name: str = "compose"
    """The section's name: the model goes to `checkpoints/<name>/model`."""
    seed: int = 0
    """Of the projector's random weights, and of the new tokens' embeddings."""
    language: str
    """A chat model's folder or hub name, or a file of llama.cpp (`.gguf`); `$NAME` is filled in."""
    model: Model = "base"
    """Whose vision tower is taken: base (ships with mixpo), step:<section>, or the folder or hub name of a CLIP, SigLIP
    or InternVL tower, alone or in a model."""


def run(config: Config, files: RunFiles) -> None:
    """Writes the checkpoint unless it is there. Raises UserError as `compose`."""
    folder = files.checkpoints(config.name) / "model"
    if folder.exists():
        say(f"{config.name}: there already ({folder})")
        return
    compose(found_language(config.language), files.model(config.model), folder, config.seed)


def compose(language: str, vision: str, out: Path, seed: int = 0) -> None:
    """Writes `out`, whole or not at all: float32 weights, config, tokenizer, chat template, processor.

    `language`: a chat model's folder or hub name, or a file of llama.cpp (`.gguf`), whose weights are dequantised.
    `vision`: `base` (ships with mixpo), or the folder or hub name of a tower of CLIP, SigLIP or InternVL, alone or in
    a vision-language model. `seed` fixes the projector and the new tokens' embeddings. Raises UserError for what
    cannot be joined, and when `out` is there already.
    """
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UserError(f"{out} exists already; delete it or choose another folder")
    found_language(language)  # what is not there is told before the tower is loaded
    tower = load_tower(str(BASE_MODEL) if vision == "base" else vision)
    words, tokenizer = load_language(language, JOINS[tower.config.model_type].tokens)
    model, processor = joined(words, tokenizer, tower, seed)
    refuse_template(processor, language)
    refuse_other_logits(model, words, language)
    refuse_other_pictures(model, tower.image_processor, vision)
    with new_model(out) as folder:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
    new, seen = (sum(weight.numel() for weight in part.parameters()) for part in (projector_of(model), tower.module))
    say(f"{out}: {model.num_parameters():,} parameters; the tower has {seen:,}, the new projector {new:,}")


def joined(words: Any, tokenizer: Any, tower: Tower, seed: int) -> tuple[Any, Any]:
    """The vision-language model and its processor, of which `words`, `tokenizer` and `tower` become the parts.

    Row i of the new model's logits is the language model's, for text and all the tokens that it has.
    """
    join = JOINS[tower.config.model_type]
    torch.manual_seed(seed)
    if len(tokenizer) > words.get_input_embeddings().num_embeddings:
        with quietly():
            words.resize_token_embeddings(len(tokenizer))
    with torch.device("meta"):  # a second language model of random weights would double the memory
        model = join.model(tower, words.config, tokenizer.convert_tokens_to_ids(join.image))
    projector_of(model).to_empty(device="cpu").apply(model._init_weights)
    model.model.vision_tower, model.model.language_model = tower.module, words.model
    model.lm_head = words.lm_head
    model.generation_config = words.generation_config
    template = PARTS_AS_TEXT.replace("IMAGE", join.image) + tokenizer.chat_template
    tokenizer.chat_template = template
    return model, join.processor(tower, tokenizer, template)


def projector_of(model: Any) -> nn.Module:
    """What lies between a model's tower and its language model."""
    return model.model.multi_modal_projector


def load_language(path: str, tokens: dict[str, str]) -> tuple[Any, Any]:
    """A causal language model in float32 and its tokenizer, which gets `tokens` as well. Raises UserError."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    given: dict[str, Any] = {}
    place = found_language(path)
    if place.endswith(GGUF):
        place, given = str(Path(place).parent), {"gguf_file": Path(place).name}
    else:
        refuse_crafted(place, trusted=False)
    try:
        with quietly():
            model, told = AutoModelForCausalLM.from_pretrained(
                place, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **given
            )
        tokenizer = AutoTokenizer.from_pretrained(place, extra_special_tokens=tokens, trust_remote_code=False, **given)
    except Exception as error:  # a torn file, other sizes than the config's: of each library's own kind
        raise UserError(f"language {path!r} cannot be loaded as a language model: {reason_of(error)}") from error
    if given and hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # the file's weights are numbers now
    refuse_other_parts(model, path)
    refuse_missing(f"language {path!r}", told)
    refuse_broken(f"language {path!r}", model)
    refuse_other_tokens(model, len(tokenizer) - len(tokens), path)
    tokenizer.chat_template = one_template(tokenizer.chat_template, path)
    return model, tokenizer


@contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' table of weights that are not there or not wanted: what matters is refused (`told`)."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def load_tower(path: str) -> Tower:
    """A vision tower and its image processor, out of the folder of a tower or of a model that has one.

    Raises UserError.
    """
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, MODEL_MAPPING, AutoImageProcessor

    config = load_config(path)
    inner = getattr(config, "vision_config", config)
    if inner.model_type not in JOINS:
        raise UserError(f"vision {path!r}: {inner.model_type} is no vision tower that can be taken: {', '.join(JOINS)}")
    lacks = "no vision tower that can be taken"
    try:
        if type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            module = cast(Any, load_model(path)).get_encoder(modality="image")
        else:
            with quietly():
                module, told = MODEL_MAPPING[type(inner)].from_pretrained(
                    found(path), dtype=torch.float32, output_loading_info=True
                )
            refuse_missing(f"vision {path!r}", told)
        refuse_broken(f"vision {path!r}", module)
        lacks = "no image processor (preprocessor_config.json) that can be read"
        return Tower(module, inner, AutoImageProcessor.from_pretrained(found(path), trust_remote_code=False))
    except UserError:
        raise
    except Exception as error:  # as in load_language
        raise UserError(f"vision {path!r} holds {lacks}: {reason_of(error)}") from error


def _internvl(tower: Tower, text: Any, image_token: int) -> Any:
    from transformers import InternVLConfig, InternVLForConditionalGeneration

    config = InternVLConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_id=image_token,
        image_seq_length=_tokens_a_tile(tower),
        tie_word_embeddings=text.tie_word_embeddings,
    )
    return InternVLForConditionalGeneration(config)


def _tokens_a_tile(tower: Tower) -> int:
    """Four patches become a token (pixel shuffle by 0.5)."""
    (height, width), (high, wide) = tower.config.image_size, tower.config.patch_size
    return (height // high // 2) * (width // wide // 2)


def _internvl_processor(tower: Tower, tokenizer: Any, template: str) -> Any:
    from transformers import InternVLProcessor, InternVLVideoProcessor

    pictures = tower.image_processor
    return InternVLProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(
            size=pictures.size, image_mean=pictures.image_mean, image_std=pictures.image_std
        ),
        image_seq_length=_tokens_a_tile(tower),
        chat_template=template,
    )


def _llava(tower: Tower, text: Any, image_token: int) -> Any:
    """The layer before the last, without CLIP's class token; all of SigLIP's, which has none."""
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        vision_config=tower.config,
        text_config=text,
        image_token_index=image_token,
        image_seq_length=(tower.config.image_size // tower.config.patch_size) ** 2,
        vision_feature_select_strategy=_selected(tower),
        tie_word_embeddings=text.tie_word_embeddings,
    )
    return LlavaForConditionalGeneration(config)


def _selected(tower: Tower) -> str:
    return "default" if tower.config.model_type == "clip_vision_model" else "full"


def _llava_processor(tower: Tower, tokenizer: Any, template: str) -> Any:
    from transformers import LlavaProcessor

    return LlavaProcessor(
        image_processor=tower.image_processor,
        tokenizer=tokenizer,
        patch_size=tower.config.patch_size,
        vision_feature_select_strategy=_selected(tower),
        num_additional_image_tokens=int(_selected(tower) == "default"),
        chat_template=template,
    )


INTERNVL = Join(
    IMAGE_TOKENS,
    "<IMG_CONTEXT>",
    _internvl,
    _internvl_processor,
)
LLAVA = Join({"image_token": "<image>"}, "<image>", _llava, _llava_processor)
JOINS = {"internvl_vision": INTERNVL, "clip_vision_model": LLAVA, "siglip_vision_model": LLAVA}
"""By a tower's `model_type`."""
