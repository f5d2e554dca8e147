"""What a script that runs on the null GPU needs: counters, and the places where the host waits for the GPU."""

import contextlib
import ctypes
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator

import torch


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


@contextlib.contextmanager
def waits() -> Iterator[Counter[str]]:
    """Counter of `file:line code` of mixpo's (else of the innermost frame) where the host waited for the GPU."""
    found: Counter[str] = Counter()

    def note(message, category, filename, lineno, file=None, line=None):
        if "synchronizing CUDA" not in str(message):
            return
        frames = [frame for frame in traceback.extract_stack()[:-1] if "warnings.py" not in frame.filename]
        ours = [frame for frame in frames if "/src/mixpo/" in frame.filename]
        place = (ours or frames)[-1]
        found[f"{place.filename.split('/src/')[-1].split('site-packages/')[-1]}:{place.lineno} {place.line}"] += 1

    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode("default")
            warnings.showwarning = before


# cuDNN is not taken in: what is left computes the same.
torch.backends.cudnn.enabled = False
torch.backends.cuda.enable_cudnn_sdp(False)
assert torch.cuda.is_available(), "start with devices.null_gpu.run"
assert torch.cuda.get_device_name(0).startswith("null"), "start with devices.null_gpu.run"
