"""What a layer's backward pass needs: kept where it is dear to compute, computed again where it is cheap.

Norms, activation functions, rotary embeddings and residual sums take a hundredth of a training step, and are most of
what autograd keeps for it. They are computed again, with the products that widen or narrow a layer (a gated MLP's):
of those the wide results hold the most, and the narrow ones are hardly ever needed. Kept are what attention made and
square products. The values are the very same: no gradient changes. Selective activation recomputation: Korthikanti et
al., arXiv 2205.05198, section 5; here with torch.utils.checkpoint's policies.
"""

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from transformers import TrainingArguments

from mixpo.models.cpu_attention import attention
from mixpo.models.cpu_memory import keep_freed_memory
from mixpo.models.cpu_products import ONEDNN
from mixpo.models.shape import SHORT
from mixpo.training.config import MPOConfig

aten = torch.ops.aten
PRODUCTS = {aten.mm.default: (0, 1, 1), aten.addmm.default: (1, 2, 1), aten.bmm.default: (0, 1, 2), ONEDNN: (0, 1, 0)}
"""Operator -> which argument is the left matrix (…, terms), which the right one, and which axis of that the results."""
ATTENTION = {
    attention._opoverload,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention.default,
    aten._scaled_dot_product_efficient_attention.default,
    aten._scaled_dot_product_cudnn_attention.default,
}


def manage_memory(model: Any, args: MPOConfig) -> None:
    """What a training's memory is spent on, as `args.recompute` says; a CPU's malloc keeps what is freed."""
    if args.device.type == "cpu":
        keep_freed_memory()
    if args.recompute == "elementwise" or (args.recompute == "auto" and worthwhile(model, args)):
        recompute_elementwise(model)


def worthwhile(model: Any, args: TrainingArguments) -> bool:
    """On a CPU, with a model that is wide enough, whole on each process, and not compiled."""
    alone = not (args.fsdp or args.deepspeed or args.torch_compile or args.compile)
    return args.device.type == "cpu" and alone and wide_enough(model.get_decoder().config.hidden_size)


def wide_enough(hidden: int) -> bool:
    """Whether the operators' own time, and not that of calling them, counts in a model with states of this width."""
    return hidden >= SHORT


def recompute_elementwise(model: Any) -> None:
    """Has the layers of a transformers model keep less.

    A model that knows no activation checkpointing stays as it is, and so does one that was told before what to keep
    (`gradient_checkpointing_enable`); Trainer's `gradient_checkpointing` takes the place of this later.
    """
    told = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    if told or not getattr(model, "supports_gradient_checkpointing", False):
        return
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, "context_fn": partial(create_selective_checkpoint_contexts, policy)})


def policy(_context: Any, operator: Any, *given: Any, **_: Any) -> CheckpointPolicy:
    """Attention is kept, and square products."""
    if operator in ATTENTION:
        return CheckpointPolicy.MUST_SAVE
    if operator in PRODUCTS:
        left, right, axis = PRODUCTS[operator]
        if given[left].shape[-1] == given[right].shape[axis] >= SHORT:
            return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
