"""What a script that runs on the null GPU needs: counters, and the places where the host waits for the GPU."""

import contextlib
import ctypes
from collections.abc import Iterator

import torch

from gpu_checks.waits import waits
from mixpo.training import resume

__all__ = ["counted", "counts", "waits"]


class Counts(ctypes.Structure):
    NAMES = ("launches", "gemms", "h2d", "d2h", "d2d", "syncs", "mallocs", "frees", "triton", "graphs", "captured")
    _fields_ = [*((name, ctypes.c_long) for name in NAMES), ("used", ctypes.c_size_t), ("peak", ctypes.c_size_t)]


_library = ctypes.CDLL(None)
_library.nullcuda_counts.restype = ctypes.POINTER(Counts)


def counts() -> dict[str, int]:
    """Kernel launches, products, copies, waits, allocations so far."""
    found = _library.nullcuda_counts().contents
    return {name: getattr(found, name) for name in Counts.NAMES}


@contextlib.contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Afterwards the dictionary holds what was counted within."""
    before, found = counts(), {}
    yield found
    found.update({name: count - before[name] for name, count in counts().items()})


# Nothing is computed, so no weight changes: a real training that changes none is an error.
resume.refuse_unmoved = lambda trainer, before: None

# cuDNN is not taken in: what is left computes the same.
torch.backends.cudnn.enabled = False
torch.backends.cuda.enable_cudnn_sdp(False)
assert torch.cuda.is_available(), "start with devices.null_gpu.run"
assert torch.cuda.get_device_name(0).startswith("null"), "start with devices.null_gpu.run"
