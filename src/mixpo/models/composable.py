"""What `mixpo compose` refuses before anything is written: parts that would make another model than they were."""

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import nn

from mixpo.errors import DataError, UserError
from mixpo.models.chat import Chat
from mixpo.models.checked import reason_of


def refuse_missing(what: str, told: Mapping[str, Any]) -> None:
    """Raises UserError where weights that the config tells of were in no file, and are random."""
    if missing := sorted(told["missing_keys"]):
        raise UserError(
            f"{what} cannot be loaded: {len(missing)} of its weights are in none of its files (the first is "
            f"{missing[0]}); download it again"
        )


def refuse_broken(what: str, module: nn.Module) -> None:
    """Raises UserError where weights are no numbers (NaN), or infinite."""
    broken = next((name for name, weight in module.named_parameters() if not torch.isfinite(weight).all()), None)
    if broken:
        raise UserError(f"{what} is damaged: its weights {broken} are not all finite numbers; download it again")


def refuse_other_parts(model: Any, path: str) -> None:
    """Raises UserError for what is no decoder alone: a vision-language model, quantised weights, a bias of the head,
    for which the joined model has no place."""
    lacking = not (hasattr(model, "lm_head") and hasattr(getattr(model, "model", None), "layers"))
    if lacking or model.config.get_text_config() is not model.config:
        raise UserError(
            f"language {path!r}: {type(model).__name__} is no plain decoder (model, lm_head); take a language model"
        )
    if hasattr(model.config, "quantization_config"):
        raise UserError(f"language {path!r} is quantised; take the model in float32, bf16 or float16")
    if getattr(model.lm_head, "bias", None) is not None:
        raise UserError(f"language {path!r}: the head of {type(model).__name__} has a bias, which has no place here")


def one_template(template: Any, path: str) -> str:
    """The chat template, of several the one called "default". Raises UserError where there is none."""
    one = template.get("default") if isinstance(template, dict) else template
    if not one:
        raise UserError(f"language {path!r} has no chat template; take a model that was trained to chat (Instruct)")
    return one


def refuse_other_tokens(model: Any, tokens: int, path: str) -> None:
    """Raises UserError where the tokenizer has more tokens than the model has embeddings: it is another model's."""
    if tokens > (rows := model.get_input_embeddings().num_embeddings):
        raise UserError(
            f"language {path!r}: its tokenizer has more tokens than the {rows:,} that the model has embeddings of: "
            "it is another model's; put this one's beside the weights"
        )


def refuse_template(processor: Any, path: str) -> None:
    """Raises UserError for a chat template that cannot render a question about a picture, or leaves some of it out."""
    try:
        Chat(processor).render("What is it?", images=1)
    except DataError as error:
        raise UserError(f"language {path!r}: {error}; mend its chat template") from error


def refuse_other_logits(model: Any, words: Any, path: str) -> None:
    """Raises UserError for a language model that does more to its head's output than the joined one will: a cap, a
    scale (Gemma 2, Granite, Cohere)."""
    ids = torch.arange(min(16, words.config.vocab_size))[None]
    with torch.no_grad():
        same = torch.allclose(model.eval()(input_ids=ids).logits, words.eval()(input_ids=ids).logits, atol=1e-4)
    if not same:
        raise UserError(
            f"language {path!r}: {type(words).__name__} scales or caps its logits, which {type(model).__name__} would "
            "not: it would be another model; take one that does not (Llama, Qwen, SmolLM)"
        )


def refuse_other_pictures(model: Any, processor: Any, path: str) -> None:
    """Raises UserError where a tower's image processor prepares other pictures than the joined model takes: crops of
    its former family (LLaVA-NeXT), another size."""
    try:
        pictures = processor(images=[Image.new("RGB", (64, 48))], return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            model.get_image_features(pixel_values=pictures)
    except Exception as error:  # of each processor's own kind
        raise UserError(
            f"vision {path!r}: {type(processor).__name__} prepares pictures as {type(model).__name__} does "
            f"not take them: {reason_of(error)}"
        ) from error
