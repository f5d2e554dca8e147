"""What a step had a model write: counted as records come, and said at the end."""

import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import TypeVar

from mixpo.left_out import counted
from mixpo.records import Continuation, Dropped, DropReason, FinishReason, Response

T = TypeVar("T", Response | Dropped, Continuation | Dropped)


class WritingTally:
    """Responses or continuations of a section: how many, how long, how many cut by the limit, how fast."""

    def __init__(self, there: Iterable[Response | Continuation] = ()):
        """`there`: those of an earlier call."""
        self.lengths: Counter[int] = Counter()
        """Records by the tokens written for them."""
        self.questions: set[str] = set()
        self.cut = self.kept = self.not_drawn = self._new_tokens = 0
        self._seconds = 0.0
        for record in there:
            self._count(record)

    def watch(self, records: Iterable[T], there: Container[str] = ()) -> Iterator[T]:
        """The records as they come; the time that they take is measured.

        `there`: ids of an earlier call's, which are counted already: a block that was begun is made again as a whole.
        """
        started = time.monotonic()
        for record in records:
            if not isinstance(record, Dropped):
                if record.id not in there:
                    self._count(record)
                self._new_tokens += record.completion_tokens
            elif record.reason is DropReason.BALANCED:
                self.not_drawn += record.count
            yield record
        self._seconds = time.monotonic() - started

    def _count(self, record: Response | Continuation) -> None:
        self.lengths[record.completion_tokens] += 1
        self.questions.add(record.question_id)
        self.cut += record.finish_reason is FinishReason.LENGTH
        self.kept += record.kept_tokens if isinstance(record, Continuation) else 0

    @property
    def count(self) -> int:
        return self.lengths.total()

    def summary(self, what: str, limit: int) -> str:
        """ "2,720 responses to 340 questions: 159,000 tokens (mean 58, median 51), …"; `limit`: the most tokens."""
        said = f"{counted(self.count, what)} to {counted(len(self.questions), 'question')}"
        tokens = sum(length * number for length, number in self.lengths.items())
        if tokens:  # a server may not say
            said += f": {tokens:,} tokens (mean {tokens / self.count:.0f}, median {self._median()})"
            if self._seconds and self._new_tokens:
                said += f", {self._new_tokens / self._seconds:,.0f} tokens/s"
        if self.kept:
            said += f", after {self.kept / self.count:.0f} that were kept"
        if self.count and not self.kept:
            share = f"{100 * self.cut / self.count:.1f} %" if self.cut else "none"
            said += f", {share} cut at {limit} tokens (max_new_tokens)"
        if self.not_drawn:
            said += f"; {self.not_drawn:,} not drawn, their questions had enough"
        return said

    def _median(self) -> int:
        """The lower one, of an even number."""
        before = 0
        for length, number in sorted(self.lengths.items()):
            before += number
            if 2 * before >= self.count:
                return length
        return 0
