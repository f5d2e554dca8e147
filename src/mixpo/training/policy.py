"""The policy as a `train` section wants it: loaded, quantised, frozen in parts, what is frozen in 16 bits."""

from collections.abc import Collection
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers.modeling_layers import GradientCheckpointingLayer

from mixpo.errors import UserError
from mixpo.models.load import Quantize, checkpoint_dtype, load_model
from mixpo.training.config import MPOConfig
from mixpo.training.words import Part, Words

DTYPES = {"bf16": "bfloat16", "fp16": "float16"}
"""torch's name of the type that products are taken in, by accelerate's name of the mixed precision."""


def load_policy(path: str, words: Words, args: MPOConfig) -> nn.Module:
    """Trained weights are float32, whatever the precision of products: in bfloat16 a step of 5e-6 changes few of them.

    What is not trained is held in bfloat16 where the checkpoint has it so and products are taken so: all of the model
    below an adapter, the matrices of frozen parts. Raises UserError for a part to freeze that the model does not have.
    """
    numbers = DTYPES.get(args.mixed_precision, "float32")
    halved = numbers == "bfloat16" and checkpoint_dtype(path, args.trust_remote_code) == torch.bfloat16
    whole = words.quantize != Quantize.NONE or (halved and words.lora is not None)
    kept = numbers if whole else "float32"
    model = load_model(path, kept, args.trust_remote_code, attention=words.attention, quantize=words.quantize)
    freeze(model, words.freeze)
    if halved and not whole:
        halve_frozen(model)
    return model


def halve_frozen(model: Any) -> None:
    """Has the matrices of linear layers that are not trained in bfloat16, as autocast would cast them at each product.

    Norms and embeddings stay: what flows between the layers keeps its type, which models do not expect to change.
    """
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    for module in model.modules():
        if type(module) is not nn.Linear or module.weight.requires_grad or id(module.weight) in embedded:
            continue
        if not hasattr(module.weight, "ds_id"):  # ZeRO-3 keeps weights in its own way
            module.weight.data = module.weight.data.to(torch.bfloat16)
            if module is not model.get_output_embeddings():  # scoring multiplies with its weights itself
                module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _forward(layer: nn.Linear, input: Tensor) -> Tensor:
    """Outside of autocast a product in the input's precision."""
    autocast = torch.is_autocast_enabled(input.device.type)
    return linear(input, layer.weight if autocast else layer.weight.to(input.dtype), layer.bias)


def freeze(model: Any, parts: Collection[str]) -> None:
    """Takes parts of a model out of its training. Raises UserError for one that the model does not have."""
    if not parts:
        return
    found = parameters_of(model)
    for part in parts:
        if not found[Part(part)]:
            raise UserError(f"freeze: {type(model).__name__} has no {part} of its own; leave it out")
        for parameter in found[Part(part)]:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze: {', '.join(parts)} is all that {type(model).__name__} has; nothing is left to train")


def modules_of(model: Any, parts: Collection[str]) -> list[str]:
    """Names of the modules with weights of their own in these parts."""
    found = parameters_of(model) if parts else {}
    ids = {id(parameter) for part in parts for parameter in found[Part(part)]}
    owners = [(name, module.parameters(recurse=False)) for name, module in model.named_modules()]
    return [name for name, own in owners if any(id(parameter) in ids for parameter in own)]


def parameters_of(model: Any) -> dict[Part, list[nn.Parameter]]:
    """Each parameter of a transformers model in its part; embeddings that the head shares belong to the language.

    The projector is what lies between vision tower and language model. Where nothing does (Qwen-VL), the tower ends
    with it: its modules with linear layers outside the stack of layers.
    """
    decoder, tower, head = model.get_decoder(), model.get_encoder(modality="image"), model.get_output_embeddings()
    language = {id(one) for part in (decoder, head) if part is not None for one in part.parameters()}
    vision = {id(one) for one in tower.parameters()} if tower is not model else set()
    every = list(model.parameters())
    between = {id(one) for one in every} - language - vision
    if not between:
        between = {id(one) for part in tower.children() if _projects(part) for one in part.parameters()} & vision
    members = {Part.VISION: vision - between, Part.PROJECTOR: between, Part.LANGUAGE: language}
    return {part: [one for one in every if id(one) in ids] for part, ids in members.items()}


def _projects(module: nn.Module) -> bool:
    inside = list(module.modules())
    stacked = any(isinstance(part, GradientCheckpointingLayer) for part in inside)
    return not stacked and any(isinstance(part, nn.Linear) for part in inside)
