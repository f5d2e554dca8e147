"""The step `train` in several processes, as torchrun starts them, with no other command: one for each GPU of this
machine, or, where it has none, as many as were asked for."""

import gc
import json
import logging
import os
import signal
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar

from mixpo.child import begin, end, hear, heard_here_alone, share_of_cores
from mixpo.devices import CPU, VARIABLE, places
from mixpo.errors import FieldError, UserError
from mixpo.files import RunFiles
from mixpo.progress import be_silent, say, show_warnings
from mixpo.signals import ENDING, Interrupted
from mixpo.training import train

AFTERMATH = 3.0
"""Seconds that a process waits before it tells its error: that another one has died must be seen first."""
AGENT = "TORCHELASTIC_USE_AGENT_STORE"
"""Says that torchrun's agent keeps the store in which processes meet; one that begins a group of its own keeps it."""


def run(config: train.Config, files: RunFiles, fits: train.Fits | None = None) -> None:
    """Trains in as many processes (`devices.places`) as divide the step's micro-batches; `train.run` where it is one.

    So it is in a process that torchrun or `accelerate launch` has started, too.
    """
    devices = [] if "WORLD_SIZE" in os.environ else places(on_processor=bool(config.trainer.get("use_cpu")))
    # With one of several, too: CUDA may have begun with all of them in this process, and Trainer would take them.
    alone = len(devices) < 2 and torch.cuda.device_count() < 2
    if not devices or alone or (files.checkpoints(config.name) / "model").exists():
        train.run(config, files, fits)
        return
    count = most(config, len(devices))
    if count < len(devices):
        what = "processes" if devices[0] == CPU else "GPUs"
        say(
            f"note: {config.name} runs on {count} of {len(devices)} {what}: the {micro_batches(config)} micro-batches "
            "of a step cannot be shared out evenly among more"
        )
    launched(config, files, devices[:count], fits)


def micro_batches(config: train.Config) -> int:
    """Of an optimizer step, over all processes."""
    return config.batch // config.micro_batch


def most(config: train.Config, devices: int) -> int:
    """The largest number of processes, up to `devices`, that share the micro-batches of a step evenly."""
    return max(count for count in range(1, devices + 1) if micro_batches(config) % count == 0)


def check(config: train.Config, gpus: int) -> None:
    """Raises FieldError where a step's micro-batches cannot be shared out among `gpus` processes."""
    if micro_batches(config) % gpus:
        needed = f"a multiple of micro_batch ({config.micro_batch}) times --gpus ({gpus})"
        raise FieldError(["batch"], f"batch ({config.batch}) must be {needed}, or use --gpus {most(config, gpus)}")


def launched(config: train.Config, files: RunFiles, devices: Sequence[str], fits: train.Fits | None = None) -> None:
    """Trains in a process for each device (names of `visible`, or `cpu`), and waits for them.

    Raises UserError with what a process says that refuses, or when one dies; RuntimeError with the traceback of one
    that fails; Interrupted on SIGINT, SIGTERM and SIGHUP. In any case no process is left.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    with tempfile.TemporaryDirectory(prefix="mixpo-") as folder, _own_handlers(), _quiet(), heard_here_alone():
        told = Path(folder) / "error.json"
        how = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=len(devices), run_id=uuid.uuid4().hex, max_restarts=0,
            rdzv_backend="c10d", rdzv_endpoint="127.0.0.1:0", local_addr="127.0.0.1", start_method="spawn",
            logs_specs=DefaultLogsSpecs(log_dir=f"{folder}/torch"),
        )  # fmt: skip
        try:
            elastic_launch(how, process)((config, files, fits), list(devices), told)
            return
        except SignalException as error:
            ended: BaseException = Interrupted(error.sigval)
        except ChildFailedError as error:
            ended = _why(error, told, config.name, len(devices))
    gc.collect()  # in this thread: the launcher's own, which keeps the group alive, cannot end itself
    raise ended


def _why(error: Any, told: Path, name: str, processes: int) -> BaseException:
    """What to say of a process that failed."""
    rank, failure = next(iter(error.failures.items()))
    if -failure.exitcode in ENDING:
        return Interrupted(-failure.exitcode)
    if told.exists():
        return _error(json.loads(told.read_text(encoding="utf-8")))
    return UserError(
        f"{name}: process {rank} of {processes} died (exit status {failure.exitcode}: killed, or out of "
        "memory); the same command goes on where this stopped"
    )


def _error(told: dict[str, str]) -> Exception:
    if "sentence" in told:
        return UserError(told["sentence"])
    return RuntimeError(f"process {told['rank']} of the training failed:\n{told['traceback']}")


@contextmanager
def _own_handlers() -> Iterator[None]:
    """torch's own handlers of signals, for as long as it is at work."""
    before = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's messages on how processes end, and those of DDP: it looks for weights that got no gradient, and
    would tell each time that this step had none."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("distributed.elastic", "multiprocessing.spawn")]
    before, nowhere = [logger.propagate for logger in loggers], logging.NullHandler()
    ours = "TORCH_CPP_LOG_LEVEL" not in os.environ
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # the processes inherit it
    for logger in loggers:
        logger.addHandler(nowhere)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, before, strict=True):
            logger.propagate = propagate
            logger.removeHandler(nowhere)
        if ours:
            os.environ.pop("TORCH_CPP_LOG_LEVEL", None)


def process(work: tuple[Any, ...], devices: Sequence[str], told: Path) -> None:
    """What each process does: `train.run` with the arguments `work`; the first error of all goes to the file `told`."""
    hear()  # not as Python does: it would wait for the others, and leave a traceback
    begin(None if len(devices) == 1 or "OMP_NUM_THREADS" in os.environ else share_of_cores(len(devices)))
    # tqdm's own lock is a semaphore of the system, which a process that is stopped would leave behind.
    tqdm.set_lock(threading.RLock())
    rank = os.environ["RANK"]
    if rank == "0":
        show_warnings()
    else:
        be_silent()
        disable_progress_bar()
    if devices[0] == CPU:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    elif len(devices) == 1:
        os.environ[VARIABLE] = devices[0]  # else Trainer would take all that it sees
        for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", AGENT):
            os.environ.pop(name, None)
    try:
        train.run(*work)
    except UserError as error:
        _tell(told, {"rank": rank, "sentence": str(error)})
    except Exception:
        trace = traceback.format_exc()
        time.sleep(AFTERMATH)
        _tell(told, {"rank": rank, "traceback": trace})
    else:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _tell(told: Path, what: dict[str, str]) -> None:
    """Ends this process; the others are stopped by the agent that started it."""
    try:
        staged = told.with_suffix(f".{os.getpid()}")
        staged.write_text(json.dumps(what), encoding="utf-8")
        os.link(staged, told)  # whole, and only the first
    except FileExistsError:
        pass
    end()
