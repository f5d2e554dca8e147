"""Summed log-probabilities of completion tokens from hidden states, one chunk of tokens x vocabulary at a time.

The logits of 650 completion tokens over a vocabulary of 150,000 take 390 MB in float32, and log-softmax
and its gradient as much again. Here no more than one chunk of them exists at any time: the forward
pass keeps one number a token (the logarithm of the softmax's denominator) and the backward pass
computes a chunk's logits again, unless all tokens fit into one chunk.

Precision: products of 16-bit hidden states and weights are added up in float32, and everything after
is float32 (float64 if the inputs are): bfloat16 resolves 1 nat at 128 to 255. Under autocast hidden states and
weights are rounded to autocast's type first, as in any linear layer. Sums over tokens are taken in
float64 and rounded once, so that they do not depend on the order of the tokens.
"""

import contextlib
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from mixpo.models.cpu_products import product
from mixpo.models.head import Head

ROWS = 8192
"""Rows of the weight matrix that are widened to float32, or whose gradient is added up, at a time on a CPU."""


def completion_logps(
    hidden: Tensor, targets: Tensor, segments: Tensor, count: int, head: Head, chunk: int = 256
) -> Tensor:
    """Sum over each segment of log softmax(head.logits(head.module(hidden)))[target]; (count,) float32, differentiable.

    hidden: (N, D), the states that predict the targets (already shifted); targets: (N,) int64 token
    ids; segments: (N,) int64, which of the `count` completions each token belongs to.

    A plain `nn.Linear` goes through a hand-written backward. Any other head (LoRA, quantised, with hooks) is called on
    each chunk as the module it is, and again in the backward pass. Of a sharded head this is to be called within its
    own call, where its weights are gathered, with its own `forward` in place.
    """
    module = head.module
    if _is_plain(module):
        if torch.is_autocast_enabled(hidden.device.type):
            operands = torch.get_autocast_dtype(hidden.device.type)
        else:
            operands = torch.promote_types(hidden.dtype, module.weight.dtype)
        settings = _Settings(operands, chunk, head.scale, head.softcap, torch.is_grad_enabled())
        logps = _ChunkedLogps.apply(hidden, module.weight, module.bias, targets, settings)
    else:
        logps = _logps_through_module(hidden, targets, head, chunk)
    exact = torch.float32 if hidden.device.type == "mps" else torch.float64
    sums = torch.zeros(count, dtype=exact, device=hidden.device).index_add(0, segments, logps.to(exact))
    return sums.to(logps.dtype)


def _is_plain(module: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether the head computes `hidden @ weight.T + bias` and nothing else, with its weights at hand.

    A module with another `forward`, its own or a replaced one (peft, quantisation, offloading), or with hooks may do
    more; the hooks of an engine that shards only gather the weights.
    """
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return (
        isinstance(module, nn.Linear)
        and getattr(module.forward, "__func__", None) is nn.Linear.forward
        and type(module.weight) is nn.Parameter
        and module.weight.shape == (module.out_features, module.in_features)
        and (is_sharded(module) or not any(hooks))
    )


def is_sharded(module: nn.Module) -> bool:
    """Whether FSDP2 or DeepSpeed's ZeRO-3 divides the module's weights, and gathers them when it is called."""
    from torch.distributed.fsdp import FSDPModule

    return isinstance(module, FSDPModule) or any(hasattr(weight, "ds_id") for weight in module.parameters())


class _Settings(NamedTuple):
    operands: torch.dtype
    """What hidden states and weight are cast to before they are multiplied."""
    chunk: int
    scale: float
    softcap: float | None
    grad_enabled: bool
    """Whether the caller may ask for a gradient (inside `forward` grad mode is always off)."""


class _ChunkedLogps(torch.autograd.Function):
    """log softmax(cap(scale (hidden @ weight.T + bias)))[target] of each token, (N,)."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, settings: _Settings
    ) -> Tensor:
        states, matrix = hidden.to(settings.operands), weight.to(settings.operands)
        logps = torch.empty(len(hidden), dtype=_wide(settings.operands), device=hidden.device)
        normalisers = torch.empty_like(logps)
        for_hidden, for_weight, for_bias = (settings.grad_enabled and needed for needed in ctx.needs_input_grad[:3])
        # With a frozen head, the gradient is known up to the factor that the backward pass brings: taken now it
        # costs one product less than computing the logits again. A single chunk is kept instead of computed again.
        early = for_hidden and not for_weight and not for_bias
        keep = (for_weight or for_bias) and len(hidden) <= settings.chunk
        grad_early = torch.empty(hidden.shape, dtype=logps.dtype, device=hidden.device) if early else None
        kept = None
        with _no_autocast(hidden):
            for part in _parts(len(hidden), settings.chunk):
                logits, cap_slope = _logits(states[part], matrix, bias, settings)
                at_target = logits.gather(1, targets[part, None]).squeeze(1)
                peaks = logits.amax(dim=1)
                exponentials = logits.sub_(peaks[:, None]).exp_()
                denominators = exponentials.sum(dim=1)
                normalisers[part] = peaks + denominators.log()
                logps[part] = at_target - normalisers[part]
                if early or keep:
                    slopes = _slopes(exponentials.div_(denominators[:, None]), targets[part], cap_slope)
                    kept = slopes if keep else None
                    if grad_early is not None:
                        grad_early[part] = _product(slopes, matrix)
        ctx.save_for_backward(hidden, weight, bias, targets, normalisers, grad_early, kept)
        ctx.settings = settings
        return logps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, normalisers, grad_early, kept = ctx.saved_tensors
        settings: _Settings = ctx.settings
        factors = (settings.scale * grad)[:, None]
        if grad_early is not None:
            return (factors * grad_early).to(hidden.dtype), None, None, None, None
        states, matrix = hidden.to(settings.operands), weight.to(settings.operands)
        for_hidden, for_weight, for_bias = ctx.needs_input_grad[:3]
        wide = {"dtype": normalisers.dtype, "device": hidden.device}
        grad_hidden = torch.empty_like(hidden) if for_hidden else None
        grad_weight = torch.zeros(weight.shape, **wide) if for_weight else None
        grad_bias = torch.zeros(len(weight), **wide) if for_bias else None
        with _no_autocast(hidden):
            for part in _parts(len(hidden), settings.chunk):
                slopes = kept
                if slopes is None:
                    logits, cap_slope = _logits(states[part], matrix, bias, settings)
                    probabilities = logits.sub_(normalisers[part, None]).exp_()
                    slopes = _slopes(probabilities, targets[part], cap_slope)
                # The factors go on the (n, D) side of each product: it is the smaller one.
                if grad_hidden is not None:
                    grad_hidden[part] = factors[part] * _product(slopes, matrix)
                if grad_weight is not None:
                    _add_product(grad_weight, slopes.t(), factors[part] * states[part], settings.operands)
                if grad_bias is not None:
                    grad_bias += slopes.t() @ factors[part, 0]
        return (
            grad_hidden,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if grad_bias is None else grad_bias.to(bias.dtype),
            None,
            None,
        )


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> tuple[Tensor, Tensor | None]:
    """Logits (n, V) in float32 or float64, and the softcap's derivative at them (n, V) if there is one."""
    logits = _product(hidden, weight.t())
    if bias is not None:
        logits += bias
    if settings.scale != 1.0:
        logits *= settings.scale
    if settings.softcap is None:
        return logits, None
    bounded = logits.div_(settings.softcap).tanh_()
    return bounded * settings.softcap, bounded.square_().neg_().add_(1)


def _slopes(probabilities: Tensor, targets: Tensor, cap_slope: Tensor | None) -> Tensor:
    """d log p[target] / d (scaled) logit before the softcap, onehot - p, (n, V), written over `probabilities`."""
    slopes = probabilities.neg_()
    slopes[torch.arange(len(targets), device=targets.device), targets] += 1
    return slopes if cap_slope is None else slopes.mul_(cap_slope)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right with float32 sums when `right` has 16 bits; `left` is 16-bit hidden states or float32 slopes."""
    if right.dtype in (torch.float32, torch.float64):
        return product(left, right)
    if right.is_cuda:
        return torch.mm(left.to(right.dtype), right, out_dtype=torch.float32)
    left = left.float()
    if right.shape[1] > right.shape[0]:  # hidden (n, D) @ weight.T (D, V), else slopes (n, V) @ weight (V, D)
        wide = torch.empty(len(left), right.shape[1], device=left.device)
        for into, columns in zip(wide.split(ROWS, dim=1), right.split(ROWS, dim=1), strict=True):
            into.copy_(left @ columns.float())
        return wide
    total = torch.zeros(len(left), right.shape[1], device=left.device)
    for columns, rows in zip(left.split(ROWS, dim=1), right.split(ROWS), strict=True):
        total.addmm_(columns, rows.float())
    return total


def _add_product(total: Tensor, left: Tensor, right: Tensor, operands: torch.dtype) -> None:
    """total += left @ right, all float32 or float64; 16-bit `operands` are multiplied as such where that is faster."""
    if not total.is_cuda:
        for into, rows in zip(total.split(ROWS), left.split(ROWS), strict=True):
            into += product(rows, right)
    elif operands == total.dtype:
        total += left @ right
    else:
        total += torch.mm(left.to(operands), right.to(operands), out_dtype=total.dtype)


def _logps_through_module(hidden: Tensor, targets: Tensor, head: Head, chunk: int) -> Tensor:
    """The same for a head that must be called: each chunk's logits are dropped and computed again for the gradient.

    Of a sharded head the inner `forward` is called, since the gathering has happened, and equally often in all
    processes: layers within it may be gathered one by one.
    """
    sharded = is_sharded(head.module)
    call = head.module.forward if sharded else head.module

    def logps(states: Tensor, wanted: Tensor) -> Tensor:
        raw = call(states)
        logits = head.logits(raw.to(_wide(raw.dtype)))
        return logits.log_softmax(dim=1).gather(1, wanted[:, None]).squeeze(1)

    slices = _parts(len(hidden), chunk)
    if sharded:
        count = torch.tensor(len(slices), device=hidden.device)
        torch.distributed.all_reduce(count, torch.distributed.ReduceOp.MAX)
        slices += [slice(0, 0)] * (int(count) - len(slices))
    parts = []
    for part in slices:
        if torch.is_grad_enabled():
            parts.append(checkpoint(logps, hidden[part], targets[part], use_reentrant=False))
        else:
            parts.append(logps(hidden[part], targets[part]))
    return torch.cat(parts)


def _parts(length: int, chunk: int) -> list[slice]:
    """Slices of `chunk` tokens; one empty slice when there is no token, so that the head still runs on every rank."""
    return [slice(start, min(start + chunk, length)) for start in range(0, max(length, 1), chunk)]


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def _no_autocast(like: Tensor) -> contextlib.AbstractContextManager:
    return torch.autocast(like.device.type, enabled=False)
