"""Continuous batching: rows of many requests decode together; finished ones leave, waiting ones join."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from mixpo.records import Dropped
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.kv_cache import Memory
from mixpo.responses.backends.embedded.prefill import Encoded, Prefilled, prefill
from mixpo.responses.backends.embedded.rows import DecodingRows, StoppingCriteria, Written, begin
from mixpo.responses.backends.embedded.steps import DecodeSteps, Drawing

JOIN_SHARE = 8
"""Rows join when places for an eighth of those decoding are free: a join costs a forward pass of its own."""


class ContinuousBatch:
    """Decodes encoded batches, prompts shared by their samples, within a budget of tokens in memory."""

    def __init__(self, model: Any, drawing: Drawing, limits: StoppingCriteria, memory: Memory, steps: DecodeSteps):
        self.model, self.drawing, self.limits, self.memory, self.steps = model, drawing, limits, memory, steps
        # Until responses have shown how long they get; afterwards as long as the longest one.
        memory.expected = limits.max_new_tokens // 2
        self.longest = 0
        self.rows: DecodingRows | None = None
        self.prefilled: Prefilled | None = None
        self.waiting: deque[tuple[int, int]] = deque()
        """(prompt, sample) of `prefilled` that have not joined yet."""
        self.open: dict[tuple[str, int], Request] = {}
        """(request's id, sample) that were taken from the batches and are neither written nor evicted."""
        self.evicted: dict[str, Request] = {}
        """Requests, with the samples only that had to give way for lack of memory."""
        self.tokens = 0
        """What the memory held when it did not suffice, in tokens."""

    def run(self, batches: Iterator[Encoded | Dropped]) -> Iterator[Written | Dropped]:
        """Every (request, sample) of the batches, in the order they finish, except `evicted`.

        Raises torch.OutOfMemoryError when a GPU's memory does not suffice; what was begun is among `evicted` then, and
        the batches go on behind it.
        """
        try:
            for record in self._run(batches):
                if isinstance(record, Written):
                    self.open.pop((record.request.id, record.sample), None)
                yield record
        except torch.OutOfMemoryError:
            self.tokens = self.memory.used()
            for (_, sample), request in list(self.open.items()):
                self._give_way(request, sample)
            raise
        finally:
            self.rows = self.prefilled = None
            self.memory.release()

    def _run(self, batches: Iterator[Encoded | Dropped]) -> Iterator[Written | Dropped]:
        while True:
            yield from self._admit(batches)
            if not self.rows:
                return
            yield from self._step()

    def _admit(self, batches: Iterator[Encoded | Dropped]) -> Iterator[Written | Dropped]:
        while True:
            if not self.waiting:
                if not self._worth_joining(1):
                    return
                batch = next(batches, None)
                if batch is None:
                    return
                if isinstance(batch, Dropped):
                    yield batch
                    continue
                self.open |= {(request.id, sample): request for request in batch.requests for sample in request.samples}
                self.prefilled = prefill(self.model, batch)
                self.waiting.extend((number, s) for number, r in enumerate(batch.requests) for s in r.samples)
            assert self.prefilled is not None
            longest = int(self.prefilled.lengths.max())
            if not self._worth_joining(longest):
                return
            yield from self._join(self.prefilled, self._next_samples(longest))

    def _worth_joining(self, columns: int) -> bool:
        rows = self.memory.own.rows
        return not rows or self.memory.fits(1, max(1, rows // JOIN_SHARE), columns)

    def _next_samples(self, columns: int) -> list[tuple[int, int]]:
        """As many waiting samples as fit, and at least one."""
        joining: list[tuple[int, int]] = []
        prompts: set[int] = set()
        while self.waiting:
            prompts.add(self.waiting[0][0])
            if joining and not self.memory.fits(len(prompts), len(joining) + 1, columns):
                break
            joining.append(self.waiting.popleft())
        return joining

    def _join(self, prefilled: Prefilled, samples: list[tuple[int, int]]) -> Iterator[Written]:
        """The first token comes from the prompt's own forward pass; a row that ends there never joins."""
        new = begin(prefilled, samples, self.limits, self.drawing.seed)
        sources = torch.tensor([prompt for prompt, _ in samples])
        logits = prefilled.logits[sources.to(self.model.device, non_blocking=True)]
        new.write(self.drawing(new, logits), self.limits.end_ids)
        finished, _ = new.progress()
        if finished.any():
            yield from new.select(finished.nonzero()[:, 0]).written(self.limits.end_ids, self.drawing.logps)
            stay = (~finished).nonzero()[:, 0]
            new, sources = new.select(stay), sources[stay]
        if len(new):
            self.memory.join(prefilled.layers, prefilled.lengths, sources)
            self.rows = new if self.rows is None else self.rows.join(new)

    def _step(self) -> Iterator[Written]:
        assert self.rows is not None
        if self.memory.full():
            self._evict(self.memory.fitting())
            self.memory.extend()
        self.steps.advance(self.rows)
        finished, counts = self.rows.progress()
        if finished.any():
            ended = self.rows.select(finished.nonzero()[:, 0])
            self.longest = self.memory.expected = max(self.longest, int(counts[finished].max()))
            yield from ended.written(self.limits.end_ids, self.drawing.logps)
            self._keep(~finished, counts)

    def _evict(self, fitting: int) -> None:
        """Rows beyond what fits give way, those that have written least; they are done again later, to the same end."""
        assert self.rows is not None
        if len(self.rows) <= fitting:
            return
        _, counts = self.rows.progress()
        stay = torch.zeros(len(self.rows), dtype=torch.bool)
        stay[counts.topk(fitting).indices] = True
        for number in (~stay).nonzero()[:, 0].tolist():
            request, sample, _ = self.rows.owners[number]
            self._give_way(request, sample)
        self._keep(stay, counts)

    def _give_way(self, request: Request, sample: int) -> None:
        self.open.pop((request.id, sample), None)
        before = self.evicted.get(request.id)
        self.evicted[request.id] = replace(request, samples=(*(before.samples if before else ()), sample))

    def _keep(self, stay: Tensor, counts: Tensor) -> None:
        """Rows that have written so many `counts` (rows,) leave where `stay` (rows,) is false."""
        assert self.rows is not None
        # The newest token goes into memory with the next step.
        self.rows = self.rows.select(self.memory.leave(stay, counts - 1))
