"""The checks of `benchmarks/gpu.py` and of `tests/devices/test_gpu.py`, and how one is run.

Each runs in a process of its own: one that hangs, breaks the GPU's context or runs out of memory takes no other along,
and peaks and compilations are its own. A process that has imported everything waits for the next check meanwhile.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Check:
    """A function that yields `Row`s, and about how many seconds it takes on an H100."""

    name: str
    function: str
    """module:function of this package"""
    seconds: int
    given: tuple[Any, ...] = ()
    counts: bool = False
    """What it finds is true on a GPU that computes nothing, too: launches and waits, no values."""


@dataclass(frozen=True)
class Row:
    """One finding. `holds`: whether it is as it must be; None where nothing is expected."""

    name: str
    values: dict[str, Any]
    holds: bool | None = None

    def __str__(self) -> str:
        verdict = {True: "ok", False: "WRONG", None: ""}[self.holds]
        figures = ", ".join(f"{name} {shown(value)}" for name, value in self.values.items())
        return " ".join(filter(None, [f"{self.name}:", figures, verdict]))


@dataclass(frozen=True)
class Setting:
    """What a check runs on."""

    device: str
    """cuda, or cpu in a rehearsal without a GPU."""
    null: bool
    """A GPU that computes nothing (tests/devices/null_gpu.py): values mean nothing, and what waits for one hangs."""
    rehearse: bool
    """Tiny sizes."""


CHECKS = (
    Check("versions", "exactness:versions", 5),
    Check("log-probabilities", "exactness:log_probabilities", 5),
    Check("layouts and attentions", "exactness:layouts", 90),
    Check("first loss", "training:first_loss", 20),
    Check("sampler", "sampling:completions", 20),
    *(Check(f"step, 8B, {kind}", "step:step", 25, ("internvl3-8b", kind)) for kind in ("shared", "trl", "paired")),
    Check("FSDP2 on one rank", "training:fsdp2", 15),
    Check("compilations", "training:compilations", 30, counts=True),
    Check("waits", "training:waits_of_a_step", 10, counts=True),
    Check("resume", "training:resume", 15),
    Check("weights move", "training:weights_move", 10),
    Check("decode, 8B", "sampling:decode", 40, ("internvl3-8b",)),
    *(Check(f"step, 1B, {kind}", "step:step", 15, ("internvl3-1b", kind)) for kind in ("shared", "trl", "paired")),
    Check("step, 8B, cached", "step:step", 25, ("internvl3-8b", "cached")),
    *(Check(f"step, 2B, {kind}", "step:step", 20, ("internvl3-2b", kind)) for kind in ("shared", "trl", "paired")),
    Check("vLLM", "sampling:vllm", 60),
)
"""In order of worth: the last ones are left out where time is short."""


class Worker:
    """A process that has imported what checks need, and does one of them."""

    def __init__(self, rehearse: bool, log: str = os.devnull):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, rehearse, log))
        self.process.start()
        theirs.close()

    def run(self, check: Check, limit: float) -> Iterator[Row]:
        """What the check yields, at once; a last row that does not hold where it failed or was stopped."""
        until = time.monotonic() + limit
        try:
            self.pipe.send(check)
            while self.pipe.poll(max(until - time.monotonic(), 0)):
                row = self.pipe.recv()
                if row is None:
                    self.process.join(20)
                    return
                yield row
            yield Row("failed", {"reason": f"stopped after {limit:.0f} s"}, False)
        except (EOFError, OSError):
            self.process.join(10)
            yield Row("failed", {"reason": f"the process ended with {self.process.exitcode}"}, False)
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends the process and what it started."""
        if self.process.is_alive():
            # It leads a group of its own from its first line on; before that, it alone is ended.
            own_group = os.getpgid(self.process.pid) == self.process.pid
            (os.killpg if own_group else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.pipe.close()


def _work(pipe: Any, rehearse: bool, log: str) -> None:
    os.setsid()
    with open(log, "a", buffering=1) as file:  # what libraries print would stand among the findings
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        for check in CHECKS:
            importlib.import_module(f"gpu_checks.{check.function.partition(':')[0]}")
        setting = set_up(rehearse)
    except BaseException as error:
        pipe.recv()
        pipe.send(_failed(error))
        pipe.send(None)
        return
    check = pipe.recv()
    sys.stderr.write(f"\n=== {check.name}\n")
    module, _, function = check.function.partition(":")
    try:
        for row in getattr(importlib.import_module(f"gpu_checks.{module}"), function)(setting, *check.given):
            pipe.send(replace(row, holds=None) if setting.null and not check.counts else row)
    except BaseException as error:
        pipe.send(_failed(error))
    pipe.send(None)


def _failed(error: BaseException) -> Row:
    traceback.print_exception(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-3:]]
    first = (str(error).strip().splitlines() or [""])[0]
    return Row("failed", {"reason": f"{type(error).__name__}: {first[:300]}", "at": " ".join(places)}, False)


def set_up(rehearse: bool) -> Setting:
    """Raises RuntimeError without a GPU, and on one that computes nothing, unless this is a rehearsal."""
    import torch

    if not torch.cuda.is_available():
        if not rehearse:
            raise RuntimeError("there is no GPU here; --rehearse runs on a CPU")
        torch.set_num_threads(1)
        return Setting("cpu", False, True)
    null = torch.cuda.get_device_name(0).startswith("null")
    if null and not rehearse:
        raise RuntimeError("this GPU computes nothing; use --rehearse")
    if null:  # what cuDNN does is not taken in
        torch.backends.cudnn.enabled = False
        torch.backends.cuda.enable_cudnn_sdp(False)
    return Setting("cuda", null, rehearse)


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
    return str(value)
