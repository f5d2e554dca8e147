"""What glibc's malloc does with freed memory (mallopt(3)): it depends on whether the same sizes are asked for again."""

import ctypes
import platform
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, RETURNED = 2**30, 2**22
"""Bytes; what is larger comes from the system and goes back to it when it is freed."""


def keep_freed_memory() -> None:
    """For training: large tensors are freed and asked for again at every step.

    By default every tensor above 32 MiB is mapped anew, and the system clears its pages once more: a fifth of a
    training step's time. It holds for the whole process; the peak of a training step grew by a hundredth.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, -1)


def return_freed_memory() -> None:
    """For generation: keys and values grow in steps, every time to a size that never comes again."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, RETURNED)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)
        libc.malloc_trim(0)


def _glibc() -> Any:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
