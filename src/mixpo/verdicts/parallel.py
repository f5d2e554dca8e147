"""Verdicts over several processes, in order, in bounded memory; a short list is judged where it stands."""

import itertools
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from operator import attrgetter
from typing import Any, TypeVar

from mixpo.child import begin, undisturbed
from mixpo.errors import UserError
from mixpo.records import Question, Response
from mixpo.verdicts.mathematics import symbolic

Pair = tuple[Question, Response]
R = TypeVar("R")
Verify = Callable[[Question, Response], R]
QUESTION = ("id", "text", "answer", "kind", "choices", "precision", "unit")
RESPONSE = ("id", "question_id", "sample", "text", "finish_reason", "thought_open")
"""The fields that judging needs."""
_of_question, _of_response = attrgetter(*QUESTION), attrgetter(*RESPONSE)
WORTHWHILE = 5_000
"""Responses from which on starting processes costs less than it saves."""
CHUNK = 500
AHEAD = 4
"""Chunks in flight per process: enough to keep it busy, few enough to keep memory flat."""
LOOK = 0.2
"""Seconds after which a process looks whether it is to stop."""


def in_parallel(verify: Verify[R], pairs: Iterable[Pair], workers: int, time_limit: float) -> Iterator[R]:
    """What `verify` says of every pair, in order. `workers` 0: as many as there are cores; 1: none but this process."""
    workers = (
        workers or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else workers or os.cpu_count() or 1
    )
    symbolic.set_time_limit(time_limit)
    pairs = iter(pairs)
    if workers > 1:
        head = list(itertools.islice(pairs, WORTHWHILE))
        pairs = itertools.chain(head, pairs)
        if len(head) == WORTHWHILE:
            return _over_processes(verify, pairs, workers, time_limit)
    return itertools.starmap(verify, pairs)


def _over_processes(verify: Verify[R], pairs: Iterator[Pair], workers: int, time_limit: float) -> Iterator[R]:
    # Spawned, not forked: the caller may hold threads (torch, a progress bar) that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    with ProcessPoolExecutor(workers, context, _begin, (time_limit, stopped)) as pool:
        running: deque[Future[list[R]]] = deque()
        try:
            for chunk in iter(lambda: list(itertools.islice(pairs, CHUNK)), []):
                # Sent as tuples, each question once, without what judging does not need: sending records whole
                # (tokens, prompts, scenes) would cost more than judging them.
                questions = {question.id: question for question, _ in chunk}
                asked = [_of_question(question) for question in questions.values()]
                with undisturbed():
                    future = pool.submit(_chunk, verify, asked, [_of_response(response) for _, response in chunk])
                running.append(future)
                if len(running) >= AHEAD * workers:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "a process that judges died (out of memory, or killed); the same command goes on where this stopped"
            ) from error
        finally:  # also when it is interrupted: nobody waits for verdicts that nobody will read
            stopped.set()
            pool.shutdown(cancel_futures=True)


_stopped: Any = None
"""Of this process, where it is one of several: an event that says that no verdict is needed any more."""


def _begin(time_limit: float, stopped: Any) -> None:
    global _stopped
    _stopped = stopped
    begin()
    symbolic.set_time_limit(time_limit)


def _chunk(verify: Verify[R], questions: list[tuple], responses: list[tuple]) -> list[R]:
    known = {values[0]: Question(**dict(zip(QUESTION, values))) for values in questions}
    made, looked = [], time.monotonic()
    for values in responses:
        made.append(verify(known[values[1]], Response(**dict(zip(RESPONSE, values)))))
        if time.monotonic() - looked > LOOK:
            if _stopped.is_set():
                break
            looked = time.monotonic()
    return made
