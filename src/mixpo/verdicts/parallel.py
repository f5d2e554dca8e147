"""Verdicts over several processes, in order, in bounded memory; a short list is judged where it stands."""

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace

from mixpo.records import Question, Response, Verdict
from mixpo.verdicts import symbolic

Pair = tuple[Question, Response]
Verify = Callable[[Question, Response], Verdict]
WORTHWHILE = 5_000
"""Responses from which on starting processes costs less than it saves."""
CHUNK = 500
AHEAD = 4
"""Chunks in flight per process: enough to keep it busy, few enough to keep memory flat."""


def in_parallel(verify: Verify, pairs: Iterable[Pair], workers: int, time_limit: float) -> Iterator[Verdict]:
    """The verdict on every pair, in order. `workers` 0: as many as there are cores; 1: none but this process."""
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


def _over_processes(verify: Verify, pairs: Iterator[Pair], workers: int, time_limit: float) -> Iterator[Verdict]:
    # Spawned, not forked: the caller may hold threads (torch, a progress bar) that do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, symbolic.set_time_limit, (time_limit,)) as pool:
        running: deque[Future[list[Verdict]]] = deque()
        for chunk in iter(lambda: list(itertools.islice(pairs, CHUNK)), []):
            running.append(pool.submit(_chunk, verify, _slim(chunk)))
            if len(running) >= AHEAD * workers:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _chunk(verify: Verify, pairs: list[Pair]) -> list[Verdict]:
    return [verify(question, response) for question, response in pairs]


def _slim(pairs: list[Pair]) -> list[Pair]:
    """The pairs without what judging does not need (tokens, prompts, scenes): sending that costs more than judging."""
    questions = {question.id: replace(question, meta={}, images=()) for question, _ in pairs}
    return [
        (
            questions[question.id],
            Response(
                id=response.id,
                question_id=response.question_id,
                sample=response.sample,
                text=response.text,
                finish_reason=response.finish_reason,
            ),
        )
        for question, response in pairs
    ]
