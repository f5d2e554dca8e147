"""Tensors that say they are on cuda:0 and compute on the CPU: real values, and an error where host and device mix.

    with pretend():
        model.to("cuda")
        ...

Autograd asks for a CUDA device: start the script with `devices.null_gpu.run`. FlexAttention, fused attention kernels
and inference mode do not know such tensors and must be off.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, bias, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from mixpo.models import logprobs

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
aten = torch.ops.aten
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""A tensor on the GPU may be indexed by one on the CPU."""
COPIES = {aten.copy_.default, aten._to_copy.default, aten._foreach_copy_.default, aten._copy_from.default}


class Pretended(torch.Tensor):
    """A CPU tensor, `inner`, that says it is on cuda:0."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor, requires_grad: bool = False) -> "Pretended":
        made = torch.Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=CUDA, requires_grad=requires_grad,
        )  # fmt: skip
        made.inner = inner
        return made

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.inner})"

    def tolist(self) -> Any:  # torch's own refuses subclasses
        return self.inner.tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pretended":
        made = memo[id(self)] = Pretended(self.inner.detach().clone(), self.requires_grad)
        if hasattr(self, "_is_param"):
            made._is_param = True
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})


class _Mode(TorchDispatchMode):
    """New tensors are pretended, too, where cuda is asked for."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})


def _compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat, spec = tree_flatten((args, kwargs))
    on_gpu = [value for value in flat if isinstance(value, Pretended)]
    on_host = [value for value in flat if isinstance(value, torch.Tensor) and not isinstance(value, Pretended)]
    if on_gpu and on_host and function not in COPIES:
        _refuse_mixed(function, args, on_host)
    asked = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
    wrapped = {id(value.inner): value for value in on_gpu}
    given, named = tree_unflatten([_unwrapped(value) for value in flat], spec)
    if asked is not None:
        named["device"] = CPU
    if named.get("pin_memory"):
        named["pin_memory"] = False
    if function is aten.mm.dtype:  # a CPU has no product of bfloat16 into float32
        result = (given[0].float() @ given[1].float()).to(given[2])
    else:
        result = function(*given, **named)
    if function is aten.copy_.default:
        return args[0]
    gpu = asked.type == "cuda" if asked is not None else bool(on_gpu)

    def wrap(value: Any) -> Any:
        if not gpu or not isinstance(value, torch.Tensor):
            return value
        return wrapped[id(value)] if id(value) in wrapped else Pretended(value)

    return tree_map(wrap, result)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, Pretended):
        return value.inner
    return CPU if isinstance(value, torch.device) and value.type == "cuda" else value


def _refuse_mixed(function: Any, args: Any, on_host: list[torch.Tensor]) -> None:
    """Raises RuntimeError as CUDA does; a number on the host, a tensor without dimensions, may be mixed in."""
    wide = [value for value in on_host if value.dim()]
    if function in INDEXED:
        if not isinstance(args[0], Pretended):
            raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        values = args[2] if len(args) > 2 else None
        wide = [value for value in wide if value is values]
    if wide:
        raise RuntimeError(f"Expected all tensors to be on the same device, found cuda:0 and cpu ({function})")


@contextlib.contextmanager
def pretend() -> Iterator[None]:
    """Within, what is moved to cuda or made there is a `Pretended`."""
    to, tensor, is_plain, bias_of = nn.Module.to, torch.tensor, logprobs._is_plain, bias.causal_lower_right

    def moved(self: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        """Parameters become new ones; not where there is nothing to do: an optimizer would be left with the old."""
        device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
        held = [*self.parameters(), *self.buffers()]
        if dtype is None and device is not None and all(one.device.type == device.type for one in held):
            return self
        return to(self, *args, **kwargs)

    def made(data: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Of a list of numbers on the GPU."""
        if isinstance(data, list | tuple):
            data = tree_map(lambda value: value.item() if isinstance(value, Pretended) else value, data)
        return tensor(data, *args, **kwargs)

    def plain(module: Any) -> bool:
        """The class of a parameter is looked at."""
        own = type(module) is nn.Linear and isinstance(module.weight, Pretended)
        return (own and module.forward.__func__ is nn.Linear.forward) or is_plain(module)

    def lower_right(rows: int, keys: int) -> torch.Tensor:
        """torch's own is a tensor of a class of its own."""
        return torch.ones(rows, keys, dtype=torch.bool, device="cuda").tril(keys - rows)

    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda") goes through the mode
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    nn.Module.to, torch.tensor, logprobs._is_plain, bias.causal_lower_right = moved, made, plain, lower_right
    try:
        with _Mode(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        nn.Module.to, torch.tensor, logprobs._is_plain, bias.causal_lower_right = to, tensor, is_plain, bias_of
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        torch._C._set_only_lift_cpu_tensors(False)
