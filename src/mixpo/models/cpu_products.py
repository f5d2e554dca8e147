"""Matrix products in float32 on a CPU, by oneDNN where torch itself would take a slower way.

torch hands float32 products to MKL, which uses AVX2 on AMD's processors even where they have AVX-512; the oneDNN that
torch brings along uses it. The arithmetic is the same float32, the sums are taken in another order. Which of the two is
taken depends on the processor alone, not on a measurement, so that a resumed run computes what the first one did.
"""

import os
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

NARROW = 256
"""A sum over many tokens into a narrower matrix (the gradient of a weight) is faster in torch's own product."""
CACHES, SHAPES = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"), 512
"""torch's and oneDNN's caches of code made for a product's shape, by default for 1,024 shapes; a training step has some
hundred, and in generation, where no shape comes back, a gigabyte of code would be kept. Read at the first product."""
OWN = (Tensor, torch.nn.Parameter)
ONEDNN: Any = torch.ops.mkldnn._linear_pointwise.default if hasattr(torch.ops.mkldnn, "_linear_pointwise") else None
"""The operator: (input (…, k), weight (m, k), bias (m,), activation, …) -> (…, m)."""


@cache
def available() -> bool:
    """Whether this processor and this torch have the faster way."""
    for name in CACHES:
        os.environ.setdefault(name, str(SHAPES))
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and ONEDNN is not None
    )


def product(left: Tensor, right: Tensor) -> Tensor:
    """left (n, k) @ right (k, m), without a gradient of its own."""
    return linear_by_onednn(left, right.t()) if _fits(left, right) else left @ right


def fast_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear`: input (…, k), weight (m, k), bias (m,) -> (…, m)."""
    plain = input.dim() >= 2 and weight.dim() == 2 and _fits(input, weight) and not torch.is_autocast_enabled("cpu")
    if not plain or (bias is not None and type(bias) not in OWN):
        return linear(input, weight, bias)
    if torch.is_grad_enabled() and (input.requires_grad or weight.requires_grad or _requires_grad(bias)):
        return _Linear.apply(input, weight, bias)
    return linear_by_onednn(input, weight, bias)


def _requires_grad(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.requires_grad


def _fits(left: Tensor, right: Tensor) -> bool:
    return (
        not torch.compiler.is_compiling()
        and available()
        and all(type(one) in OWN and one.dtype == torch.float32 and one.device.type == "cpu" for one in (left, right))
        and left.numel() > 0
        and right.numel() > 0
    )


def linear_by_onednn(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (…, k), weight (m, k), bias (m,) -> (…, m), all float32 on the CPU and not empty; no gradient."""
    operands = [_dense(input), _dense(weight)]
    return ONEDNN(*operands, bias, "none", [], "")


def _dense(tensor: Tensor) -> Tensor:
    """Rows or columns without gaps: with other strides oneDNN takes its reference code, a thousand times slower."""
    whole = tensor.is_contiguous() or (tensor.dim() == 2 and tensor.t().is_contiguous())
    return tensor if whole else tensor.contiguous()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, weight)
        return linear_by_onednn(input, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        input, weight = ctx.saved_tensors
        for_input, for_weight, for_bias = ctx.needs_input_grad
        flat = grad.reshape(-1, grad.shape[-1])
        grad_weight = None
        if for_weight:
            states = input.reshape(-1, input.shape[-1])
            wide = min(weight.shape) >= NARROW
            grad_weight = linear_by_onednn(flat.t(), states.t()) if wide else flat.t() @ states
        return (
            linear_by_onednn(grad, weight.t()) if for_input else None,
            grad_weight,
            flat.sum(0) if for_bias else None,
        )
