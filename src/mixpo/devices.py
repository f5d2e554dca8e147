"""The GPUs that a run uses: those that CUDA_VISIBLE_DEVICES names, which every process that it starts inherits."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mixpo.errors import UserError

VARIABLE = "CUDA_VISIBLE_DEVICES"
CPU = "cpu"
"""Stands among the names of GPUs for a process that computes on the processor."""


def visible() -> list[str]:
    """The GPUs that this process may use, by the names of CUDA_VISIBLE_DEVICES; nothing is begun on them."""
    import torch

    count = torch.cuda.device_count()
    names = os.environ.get(VARIABLE)
    return [str(number) for number in range(count)] if names is None else names.split(",")[:count]


@contextmanager
def limited(gpus: int | None) -> Iterator[None]:
    """This process, and those that it starts, see the first `gpus` GPUs only; None: all.

    Raises UserError when there are fewer, and in a process that torchrun or `accelerate launch` started.
    """
    if gpus is None:
        yield
        return
    if "WORLD_SIZE" in os.environ:
        raise UserError("--gpus starts the processes itself: leave it out with torchrun and accelerate launch")
    found = visible()
    if len(found) < gpus:
        there = f"{len(found)} GPU{'s' * (len(found) > 1)}" if found else "no GPU that torch can use"
        raise UserError(f"--gpus {gpus}: this machine has {there} (`mixpo doctor` tells more); leave --gpus out")
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = ",".join(found[:gpus])
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def grouped(devices: Sequence[str], size: int) -> list[str]:
    """As many groups of `size` devices as there are, each as CUDA_VISIBLE_DEVICES has it."""
    return [",".join(devices[first : first + size]) for first in range(0, len(devices) - size + 1, size)]


def shared_out(devices: Sequence[str], jobs: int) -> list[str]:
    """The devices of each of `jobs` processes: of its own where there are enough, else one that others have as well."""
    if not devices:
        return []
    groups = grouped(devices, max(1, len(devices) // jobs))
    return [groups[number % len(groups)] for number in range(jobs)]
