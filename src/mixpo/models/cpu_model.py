"""A model on the faster products and attention; its weights, names and modules stay as they are."""

from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from mixpo.models.cpu_attention import NAME
from mixpo.models.cpu_products import available, fast_linear


def speed_up(model: Any, but: nn.Module | None = None, device: torch.device | None = None) -> None:
    """Has every plain `nn.Linear` of a transformers model on the CPU, `but` one, computed by `fast_linear`, and its
    vision tower's attention by `fast_attention`. `device` is where the model will run, by default where it is.

    Set on the layers, not as a mode around a step: a layer that gradient checkpointing computes again in the backward
    pass must compute what it did before. Copies of the model are sped up, too.
    """
    places = {parameter.device.type for parameter in model.parameters()} if device is None else {device.type}
    if places != {"cpu"} or not available():
        return
    for module in model.modules():
        if type(module) is nn.Linear and module is not but and "forward" not in module.__dict__:
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
    tower = model.get_encoder(modality="image")
    if tower is not model and tower.config._attn_implementation == "sdpa":
        tower.config._attn_implementation = NAME


def _forward(layer: nn.Linear, input: Tensor) -> Tensor:
    return fast_linear(input, layer.weight, layer.bias)
