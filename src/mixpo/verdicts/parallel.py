"""Verdicts over several processes, in order, in bounded memory; a short list is judged where it stands."""

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from operator import attrgetter
from typing import TypeVar

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
    with ProcessPoolExecutor(workers, context, symbolic.set_time_limit, (time_limit,)) as pool:
        running: deque[Future[list[R]]] = deque()
        for chunk in iter(lambda: list(itertools.islice(pairs, CHUNK)), []):
            # Sent as tuples, each question once, without what judging does not need: sending records whole
            # (tokens, prompts, scenes) would cost more than judging them.
            questions = {question.id: question for question, _ in chunk}
            asked = [_of_question(question) for question in questions.values()]
            running.append(pool.submit(_chunk, verify, asked, [_of_response(response) for _, response in chunk]))
            if len(running) >= AHEAD * workers:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _chunk(verify: Verify[R], questions: list[tuple], responses: list[tuple]) -> list[R]:
    known = {values[0]: Question(**dict(zip(QUESTION, values))) for values in questions}
    return [verify(known[values[1]], Response(**dict(zip(RESPONSE, values)))) for values in responses]
