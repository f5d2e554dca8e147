"""The forward pass over prompts and images: once a request, whatever the number of its samples."""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from mixpo.models.attention import cross_attends
from mixpo.responses.backend import Request


@dataclass(frozen=True, slots=True)
class Encoded:
    """Requests and their model inputs, left-padded to one length."""

    requests: tuple[Request, ...]
    inputs: dict[str, Any]
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prefilled:
    """What decoding goes on from."""

    requests: tuple[Request, ...]
    lengths: Tensor
    """Tokens of each prompt, on the host, (prompts,)."""
    logits: Tensor
    """Of the first token to write, float32 (prompts, vocabulary)."""
    positions: Tensor
    """Rotary position of the first token to write, (prompts, axes)."""
    layers: list[tuple[Tensor, Tensor]]
    """Keys and values, each (prompts, heads, columns, width)."""


def move(inputs: dict[str, Any], model: Any) -> dict[str, Any]:
    """Inputs on the model's device; pixels in its dtype (numbers that positions are made of keep theirs)."""
    moved = {}
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            dtype = model.dtype if value.is_floating_point() and value.ndim > 1 else value.dtype
            value = value.to(model.device, dtype, non_blocking=True)
        moved[name] = value
    return moved


def forward_prompts(model: Any, inputs: dict[str, Any], **options: Any) -> tuple[Any, Tensor]:
    """The model's outputs and its position ids, (prompts, columns) or (axes, prompts, columns).

    Goes the way of `generate`: the model itself says what its positions and first inputs are.
    """
    rest = {name: value for name, value in inputs.items() if name != "input_ids"}
    positions = model._prepare_position_ids_for_generation(inputs["input_ids"], rest)
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        options["logits_to_keep"] = 1
    arguments = model.prepare_inputs_for_generation(
        inputs["input_ids"], is_first_iteration=True, position_ids=positions, use_cache=True, **rest, **options
    )
    return model(**arguments, return_dict=True), positions


def prefill(model: Any, encoded: Encoded) -> Prefilled:
    """Keys and values of full length for every layer, also where attention itself looks through a sliding
    window: the model's mask sees to that."""
    inputs = move(encoded.inputs, model)
    outputs, positions = forward_prompts(model, inputs, past_key_values=DynamicCache())
    last = positions[..., -1] if positions.ndim == 2 else positions[..., -1].T
    return Prefilled(
        requests=encoded.requests,
        lengths=torch.tensor(encoded.lengths),
        logits=outputs.logits[:, -1].float(),
        positions=last.reshape(len(encoded.requests), -1) + 1,
        layers=[(layer.keys, layer.values) for layer in outputs.past_key_values.layers],
    )


def attention_windows(model: Any) -> list[int | None] | None:
    """How far each layer looks back, in tokens (None: everything); None as a whole when the model's memory is
    more than keys and values of its tokens (recurrent states, compressed or chunked caches, images that it attends to
    apart) or its attention cannot be replaced."""
    config = model.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None) or ()
    own = model.get_decoder()._supports_attention_backend and not cross_attends(model)
    if not own or "chunked_attention" in kinds:
        return None
    layers = DynamicCache(config=config).layers
    if not layers or any(type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers):
        return None
    return [layer.sliding_window if isinstance(layer, DynamicSlidingWindowLayer) else None for layer in layers]


def position_ids(positions: Tensor) -> Tensor:
    """Positions (rows, axes) in the shape that models take: (rows, 1), or (axes, rows, 1)."""
    return positions if positions.shape[1] == 1 else positions.T[..., None]
