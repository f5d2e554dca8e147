"""Where a run computes: on the GPUs that CUDA_VISIBLE_DEVICES names, which every process that it starts inherits, or in
processes on the processor."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mixpo.errors import UserError

VARIABLE = "CUDA_VISIBLE_DEVICES"
CPU = "cpu"
"""Stands among the names of GPUs for a process that computes on the processor."""
MOST = 8
"""Processes that may be asked for, or as many as there are cores."""
_on_processor: list[str] = []
"""`CPU` for each process that shares the processor (`in_processes`); empty: this one has it alone."""


def visible() -> list[str]:
    """The GPUs that this process may use, by the names of CUDA_VISIBLE_DEVICES; nothing is begun on them."""
    import torch

    count = torch.cuda.device_count()
    names = os.environ.get(VARIABLE)
    return [str(number) for number in range(count)] if names is None else names.split(",")[:count]


def places(on_processor: bool = False) -> list[str]:
    """A place for each process that trains or lets a model write: the GPUs, unless it must be `on_processor`, or `CPU`
    as often as was asked for (`in_processes`). None: this process alone, on the processor."""
    return ([] if on_processor else visible()) or list(_on_processor)


@contextmanager
def in_processes(count: int | None) -> Iterator[None]:
    """So many processes share the cores of a machine without a GPU; None: one has them all.

    Raises UserError where there is a GPU, and in a process that torchrun or `accelerate launch` started.
    """
    if count is None:
        yield
        return
    if "WORLD_SIZE" in os.environ:
        raise UserError("--processes starts them itself: leave it out with torchrun and accelerate launch")
    if count > (most := max(MOST, os.cpu_count() or 1)):
        raise UserError(
            f"--processes {count}: at most {most} here; each holds the whole model, and they share the cores"
        )
    if visible():
        raise UserError("--processes is for machines without a GPU; --gpus says on how many of them processes run")
    _on_processor[:] = [CPU] * count
    try:
        yield
    finally:
        _on_processor.clear()


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
