"""Layers as compiled code (torch.compile): what is not a matrix product is fused, and so is read and written once."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

from torch import nn
from transformers import AttentionInterface
from transformers.modeling_layers import GradientCheckpointingLayer

COMPILERS = ("g++", "clang++", "c++")
"""By which torch.compile's backend for processors, Inductor, builds its kernels."""


def compiler() -> bool:
    """Whether there is a C++ compiler, as Inductor looks for one."""
    return any(shutil.which(name) for name in (os.environ.get("CXX"), *COMPILERS) if name)


def compile_layers(model: Any) -> None:
    """Compiles each layer of a transformers model by itself, in place: names and kinds of modules stay.

    Layers share their code, so that one is compiled for all of a kind, when it is first met; rows of other sizes do not
    compile it again. What a layer's backward pass needs and is cheap is computed again, as `recompute` has it.
    """
    # transformers has no entry for plain attention, looks for one all the same and catches the error, which no
    # compiled code does: a layer would be compiled in five pieces.
    AttentionInterface.register("eager", _plain_attention)
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


def _plain_attention(module: nn.Module, *given: Any, **options: Any) -> Any:
    """`attention: eager`, as the family of the layer has it."""
    family: dict[str, Callable[..., Any]] = sys.modules[type(module).__module__].__dict__
    return family["eager_attention_forward"](module, *given, **options)
