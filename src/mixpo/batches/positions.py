"""How a model goes on after a prompt: positions and token types of what it writes, asked of the model itself."""

import inspect
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import ModelOutput

from mixpo.batches.encode import Example

ROPE_INDEX = "get_rope_index"
UPDATE = "_update_model_kwargs_for_generation"


class PositionAssigner:
    """Completes examples with what only the model knows of them; two methods of transformers' models are asked.

    Models with multimodal rotary positions (M-RoPE; Qwen2-VL, arXiv 2409.12191, section 2.1) place image tokens on a
    grid of time, height and width, which `get_rope_index` computes. Which token type follows a prompt is what
    `generate` asks before each step: PaliGemma's prompt is of type 0 and attends in both directions, what it writes is
    of type 1 and causal.
    """

    def __init__(self, model: nn.Module):
        self._rope_index = _method(model, ROPE_INDEX)
        self._update = _method(model, UPDATE)

    def __call__(self, example: Example) -> Example:
        return replace(example, positions=self.positions(example), completion_types=self.completion_types(example))

    def positions(self, example: Example) -> Tensor | None:
        """Positions of the prompt's tokens, (axes, prompt) int64; None where they are 0, 1, 2 …, and where the model
        asks for something that the processor did not give (then shared-prefix rows turn out not to be exact)."""
        if self._rope_index is None or not example.image_inputs:
            return None
        prompt = torch.tensor([example.prompt_ids])
        given = {
            "input_ids": prompt,
            "attention_mask": torch.ones_like(prompt),
            **_tensors(example.token_types),
            **example.image_inputs,
        }
        asked = inspect.signature(self._rope_index).parameters
        if any(_is_required(parameter) and name not in given for name, parameter in asked.items()):
            return None
        positions, _ = self._rope_index(**{name: value for name, value in given.items() if name in asked})
        return positions[:, 0]

    def completion_types(self, example: Example) -> dict[str, Any]:
        """For each kind of token type, the one of the tokens that the model writes, where it is not 0."""
        if self._update is None or not example.token_types:
            return {}
        before = _tensors(example.token_types)
        after = self._update(ModelOutput(), dict(before), is_encoder_decoder=False)
        written = {name: after[name][0, -1] for name in before if after[name].shape > before[name].shape}
        return {name: value.tolist() for name, value in written.items() if value.any()}


def _method(model: nn.Module, name: str) -> Any:
    """The method of the model, or of the part of it that has one; None if there is none."""
    return next((getattr(module, name) for module in model.modules() if hasattr(module, name)), None)


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD


def _tensors(types: dict[str, list[Any]]) -> dict[str, Tensor]:
    return {name: torch.tensor([values]) for name, values in types.items()}
