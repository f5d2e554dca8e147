"""What of a step is done, in blocks: every record exactly once, and the same files however often it was killed.

Blocks depend on the list of work alone. A block's records are appended, in order, when all of them are
there; an unfinished block is done again as a whole and only what its files lack is appended.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from mixpo.files import Shards
from mixpo.records import Dropped


class Named(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str: ...


Work = TypeVar("Work", bound=Named)
Made = TypeVar("Made", bound=Named)


def blocks(work: Sequence[Work], size: int) -> list[Sequence[Work]]:
    """The work in consecutive blocks of `size`; the last may be shorter."""
    return [work[start : start + size] for start in range(0, len(work), size)]


class Ledger(Generic[Work, Made]):
    """The records a step has written so far, and those it still owes."""

    def __init__(self, records: Shards[Made], dropped: Shards[Dropped], wanted: Callable[[Work], Sequence[str]]):
        """`wanted`: the ids of the records that a piece of work gives, unless it is dropped."""
        self.records, self.dropped, self.wanted = records, dropped, wanted
        self.written = records.ids()
        self.left_out = {record.id for record in dropped}
        self.finished = 0
        """Records of finished blocks."""

    def unfinished(self, all_blocks: Iterable[Sequence[Work]]) -> list[Sequence[Work]]:
        """The blocks that lack a record."""
        todo = []
        for block in all_blocks:
            if all(self._is_done(work) for work in block):
                self.finished += sum(len(self.wanted(work)) for work in block)
            else:
                todo.append(block)
        return todo

    def _is_done(self, work: Work) -> bool:
        return work.id in self.left_out or self.written.issuperset(self.wanted(work))

    def commit(
        self, todo: Iterable[Sequence[Work]], make: Callable[[Sequence[Work]], Iterator[Made | Dropped]]
    ) -> Iterator[Made | Dropped]:
        """Makes block after block, yields records as they come, appends each block when it is whole."""
        for block in todo:
            made: dict[str, Made] = {}
            dropped: dict[str, Dropped] = {}
            for record in make(block):
                if isinstance(record, Dropped):
                    dropped[record.id] = record
                else:
                    made[record.id] = record
                yield record
            wanted = [record_id for work in block for record_id in self.wanted(work)]
            lost = [w.id for w in block if w.id not in dropped and not made.keys() >= set(self.wanted(w))]
            assert not lost, f"neither made nor dropped: {lost[:3]}"
            self.dropped.append(dropped[w.id] for w in block if w.id in dropped and w.id not in self.left_out)
            self.records.append(made[id_] for id_ in wanted if id_ in made and id_ not in self.written)
