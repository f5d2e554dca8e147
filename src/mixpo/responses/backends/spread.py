"""A backend in several processes, each with the whole model on a GPU, or on a group of GPUs (tensor parallelism).

A process asks for its next request when it has room; of those that ask, the one with the least to do gets it, so that
all are done at about the same time. What a sample says depends on its seed, request and number, not on its process; its
log-probability does so up to the rounding in a batch.
"""

import logging
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from mixpo.child import share_of_cores
from mixpo.devices import CPU, VARIABLE
from mixpo.errors import UserError, first_line
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.records import Dropped
from mixpo.responses.backend import Completion, Request, SamplingParams
from mixpo.responses.backends.config import BackendConfig

log = logging.getLogger(__name__)
AHEAD = 2
"""Requests that a process is given before its backend wants them: it does not wait while one is on its way."""
MODULE = "mixpo.responses.backends.spread_worker"


class Died(Exception):
    """A process has ended without being asked to."""


@dataclass(eq=False)
class Worker:
    """A process with a backend; what it says and is told is a tuple, its kind first (`spread_worker`)."""

    device: str
    process: subprocess.Popen
    connection: Connection
    wanted: int = 0
    """Requests that it has room for."""
    answering: bool = False
    at_work: dict[str, set[int]] = field(default_factory=dict)
    """Samples that are not finished, by their request's id."""
    requests: dict[str, Request] = field(default_factory=dict)

    @classmethod
    def start(cls, load: tuple[BackendConfig, str, ModelInputs], device: str, threads: int, first: bool) -> "Worker":
        """`load`: what `load_backend` is given there; `threads`: its share of the cores. Only the `first` one gives
        warnings, which all would give."""
        config, *rest = load
        ours, its = Pipe()
        if device == CPU:
            config, own = replace(config, device=CPU), {}
        else:
            own = {VARIABLE: device}
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **own}
        # A session of its own: Ctrl-C is for the parent, which ends it with all that it has started.
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, str(its.fileno()), "WARNING" if first else "ERROR"],
            pass_fds=[its.fileno()], env=environment, start_new_session=True,
        )  # fmt: skip
        its.close()
        worker = cls(device, process, ours)
        worker.tell("load", config, *rest)
        return worker

    def tell(self, *message: Any) -> None:
        """A process that is gone is noticed when it is listened to."""
        with suppress(OSError):
            self.connection.send(message)

    def hear(self) -> tuple[str, Any]:
        """What it says next: kind and content. Raises Died, and what its backend raised there."""
        try:
            kind, content = self.connection.recv()
        except (EOFError, OSError):
            raise Died from None
        if kind == "refused":
            raise UserError(content)
        if kind == "failed":
            raise RuntimeError(f"the process on device {self.device} failed:\n{content}")
        return kind, content

    def give(self, request: Request) -> None:
        self.wanted -= 1
        self.at_work[request.id] = set(request.samples)
        self.requests[request.id] = request
        self.tell("request", request)

    def finish(self, result: Completion | Dropped) -> None:
        id = result.id if isinstance(result, Dropped) else result.request_id
        left = self.at_work[id]
        left.discard(-1 if isinstance(result, Dropped) else result.sample)
        if not left or isinstance(result, Dropped):
            del self.at_work[id], self.requests[id]

    @property
    def load(self) -> int:
        """Samples that it has still to finish."""
        return sum(map(len, self.at_work.values()))

    def unfinished(self) -> list[Request]:
        return [replace(request, samples=tuple(sorted(self.at_work[id]))) for id, request in self.requests.items()]

    def end(self) -> None:
        """Ends the process, and those that it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.connection.close()

    def obituary(self) -> str:
        """Ends what it has left behind, and says how it ended itself."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        code = self.process.poll()
        self.end()
        return f"the process on device {self.device} died (exit status {code}: killed, or out of memory)"


class SpreadBackend:
    """Completes prompts in worker processes that hold the backend of `config`, one for each of `devices`."""

    def __init__(self, config: BackendConfig, model: str, devices: Sequence[str], inputs: ModelInputs = AS_IS):
        """`devices`: for each process, its GPUs as CUDA_VISIBLE_DEVICES has them, or `cpu`.

        Raises UserError when the backend refuses the model there.
        """
        self.load, self.model, self.devices = (config, model, inputs), model, devices
        self.workers: list[Worker] = []
        weakref.finalize(self, _end_all, self.workers)
        self._start()

    def _start(self) -> None:
        threads = share_of_cores(len(self.devices))
        try:
            for number, device in enumerate(self.devices):
                self.workers.append(Worker.start(self.load, device, threads, number == 0))
            for worker in self.workers:
                worker.hear()
        except BaseException as error:
            how = worker.obituary() if isinstance(error, Died) else ""
            begun = len(self.workers)
            self.close()
            if begun < len(self.devices) and isinstance(error, OSError):
                raise UserError(
                    f"only {begun} of {len(self.devices)} processes can be started: {first_line(error)}"
                ) from None
            if how:
                raise UserError(f"{how} while it loaded {self.model}") from None
            raise

    def close(self) -> None:
        """Ends the workers; new ones begin when they are needed."""
        _end_all(self.workers)

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order they finish. What a worker had in hand that died is given to the others, once."""
        if not self.workers:
            self._start()
        lost: list[Request] = []
        try:
            yield from self._complete(requests, params, lost)
            if lost:
                log.warning("%d requests of a process that died are given to the others", len(lost))
                again: list[Request] = []
                yield from self._complete(lost, params, again)
                if again:
                    raise UserError(
                        "a second process died at the same requests (out of memory, or killed); the same command goes "
                        "on where this stopped"
                    )
        except BaseException:
            self.close()  # what they are at is for nobody
            raise

    def _complete(
        self, requests: Iterable[Request], params: SamplingParams, lost: list[Request]
    ) -> Iterator[Completion | Dropped]:
        """What is unfinished when a worker dies comes to `lost`."""
        coming: Iterator[Request] | None = iter(requests)
        for worker in self.workers:
            worker.wanted, worker.answering = AHEAD, True
            worker.tell("complete", params)
        while busy := [worker for worker in self.workers if worker.answering]:
            hungry = [worker for worker in busy if worker.wanted]
            if coming is not None and hungry:
                request = next(coming, None)
                if request is None:
                    coming = None
                    for worker in busy:
                        worker.tell("end", None)
                else:
                    min(hungry, key=lambda worker: worker.load).give(request)
            results: list[Completion | Dropped] = []
            speaking = wait([worker.connection for worker in busy], 0 if coming is not None and hungry else None)
            for worker in [worker for worker in busy if worker.connection in speaking]:
                try:
                    self._listen(worker, results)
                except Died:
                    lost += self._bury(worker)
            yield from results

    def _listen(self, worker: Worker, results: list[Completion | Dropped]) -> None:
        kind, content = worker.hear()
        if kind == "want":
            worker.wanted += 1
        elif kind == "done":
            worker.answering = False
        else:
            worker.finish(content)
            results.append(content)

    def _bury(self, worker: Worker) -> list[Request]:
        """Its unfinished requests. Raises UserError when it was the last one."""
        self.workers.remove(worker)
        unfinished, what = worker.unfinished(), worker.obituary()
        if not self.workers:
            raise UserError(f"{what}, and none is left; the same command goes on where this stopped")
        log.warning("%s", what)
        return unfinished

    @cached_property
    def _tokenizer(self) -> Any:
        from mixpo.models.chat import Chat
        from mixpo.models.load import load_processor

        return Chat(load_processor(self.model, self.load[2].trust_remote_code)).completions

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text (`mixpo.models.completions`)."""
        return self._tokenizer.decode(token_ids)


def _end_all(workers: list[Worker]) -> None:
    while workers:
        workers.pop().end()
