"""Continuous batching: rows of many requests decode together; finished ones leave, waiting ones join."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mixpo.records import Dropped
from mixpo.responses.backend import Request
from mixpo.responses.backends.embedded.attention import shared_prompts
from mixpo.responses.backends.embedded.draw import Choose
from mixpo.responses.backends.embedded.kv_cache import Memory
from mixpo.responses.backends.embedded.prefill import Encoded, Prefilled, position_ids, prefill
from mixpo.responses.backends.embedded.rows import DecodingRows, StoppingCriteria, Written, begin

JOIN_SHARE = 8
"""Rows join when places for an eighth of those decoding are free: a join costs a forward pass of its own."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """How tokens are chosen and scored."""

    choose: Choose
    seed: int
    logps: bool

    def __call__(self, rows: DecodingRows, logits: Tensor) -> Tensor:
        """The next token of each row, (rows,); their log-probabilities are added to the rows' sums on request."""
        tokens = self.choose(logits, rows.keys, rows.counts)
        if self.logps:
            rows.logps += logits.log_softmax(-1).gather(1, tokens[:, None]).squeeze(1)
        return tokens


class ContinuousBatch:
    """Decodes encoded batches, prompts shared by their samples, within a budget of tokens in memory."""

    def __init__(self, model: Any, drawing: Drawing, limits: StoppingCriteria, memory: Memory):
        self.model, self.drawing, self.limits, self.memory = model, drawing, limits, memory
        # Until responses have shown how long they get; afterwards as long as the longest one.
        memory.expected = limits.max_new_tokens // 2
        self.longest = 0
        self.rows: DecodingRows | None = None
        self.prefilled: Prefilled | None = None
        self.waiting: deque[tuple[int, int]] = deque()
        """(prompt, sample) of `prefilled` that have not joined yet."""
        self.evicted: dict[str, Request] = {}
        """Requests, with the samples only that had to give way for lack of memory."""

    def run(self, batches: Iterator[Encoded | Dropped]) -> Iterator[Written | Dropped]:
        """Every (request, sample) of the batches, in the order they finish, except `evicted`."""
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
        sources = torch.tensor([prompt for prompt, _ in samples], device=self.model.device)
        finished = new.write(self.drawing(new, prefilled.logits[sources]), self.limits.end_ids)
        yield from new.select(finished.nonzero()[:, 0]).written(self.limits.end_ids, self.drawing.logps)
        stay = (~finished).nonzero()[:, 0]
        if len(stay):
            self.memory.join(prefilled.layers, prefilled.lengths, sources[stay])
            new = new.select(stay)
            self.rows = new if self.rows is None else self.rows.join(new)

    def _step(self) -> Iterator[Written]:
        assert self.rows is not None
        if self.memory.full():
            self._evict(self.memory.fitting())
            self.memory.extend()
        self.memory.begin_step()
        with shared_prompts(self.model, self.memory):
            outputs = self.model(
                input_ids=self.rows.newest(),
                position_ids=position_ids(self.rows.positions),
                past_key_values=self.memory.cache,
                use_cache=True,
                return_dict=True,
            )
        self.memory.end_step()
        self.rows.positions += 1
        finished = self.rows.write(self.drawing(self.rows, outputs.logits[:, -1].float()), self.limits.end_ids)
        if finished.any():
            ended = self.rows.select(finished.nonzero()[:, 0])
            self.longest = self.memory.expected = max(self.longest, int(ended.counts.max()))
            yield from ended.written(self.limits.end_ids, self.drawing.logps)
            self.rows = self.rows.select(self.memory.leave(~finished))

    def _evict(self, fitting: int) -> None:
        """Rows beyond what fits give way, those that have written least; they are done again later, to the same end."""
        assert self.rows is not None
        if len(self.rows) <= fitting:
            return
        stay = torch.zeros(len(self.rows), dtype=torch.bool, device=self.model.device)
        stay[self.rows.counts.topk(fitting).indices] = True
        for number in (~stay).nonzero()[:, 0].tolist():
            request, sample, _ = self.rows.owners[number]
            before = self.evicted.get(request.id)
            samples = (*(before.samples if before else ()), sample)
            self.evicted[request.id] = replace(request, samples=samples)
        self.rows = self.rows.select(self.memory.leave(stay))
