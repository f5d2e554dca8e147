"""What of a step is done, in blocks: every record exactly once, and the same files however often it was killed.

Blocks depend on the list of work alone. A block's records are appended, in order, when all of them are
there; an unfinished block is done again as a whole and only what its files lack is appended. Records that are paid
for are not made again: until their block is whole they lie in a journal. What is left out follows its block's records:
a `Dropped` record also says that its work is done, unless its cause may have passed.
"""

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from mixpo.files import Shards
from mixpo.records import Dropped, DropReason
from mixpo.responses.journal import Journal

AHEAD = 32
"""Blocks of one stream that are begun at most while the first of them is not whole: what a kill can cost."""


class Named(Protocol):
    """Anything with an id."""

    @property
    def id(self) -> str: ...


Work = TypeVar("Work", bound=Named)
Made = TypeVar("Made", bound=Named)


def blocks(work: Iterable[Work], size: int) -> Iterator[list[Work]]:
    """The work in consecutive blocks of `size`; the last may be shorter."""
    work = iter(work)
    while block := list(islice(work, size)):
        yield block


class Progress(Generic[Work]):
    """Which blocks still owe a record, told from what was written: one bit per record, one number per block."""

    def __init__(self, written: Container[str], left_out: Container[str], wanted: Callable[[Work], Sequence[str]]):
        """`wanted`: the ids of the records that a piece of work gives, unless it is dropped."""
        self.written, self.left_out, self.wanted = written, left_out, wanted
        self.total = 0
        """Records of all blocks."""
        self.finished = 0
        """Records of finished blocks."""
        self.todo: set[int] = set()
        """Numbers of unfinished blocks."""

    def survey(self, all_blocks: Iterable[Sequence[Work]]) -> None:
        """Notes which blocks there are to do; none is kept."""
        self.todo = {number for number, _ in self.unfinished(all_blocks)}

    def unfinished(self, all_blocks: Iterable[Sequence[Work]]) -> Iterator[tuple[int, Sequence[Work]]]:
        """The blocks that lack a record, with their numbers; all are counted."""
        for number, block in enumerate(all_blocks):
            records = sum(len(self.wanted(work)) for work in block)
            self.total += records
            if all(self.is_done(work) for work in block):
                self.finished += records
            else:
                yield number, block

    def is_done(self, work: Work) -> bool:
        return work.id in self.left_out or all(id in self.written for id in self.wanted(work))


class Ledger(Progress[Work], Generic[Work, Made]):
    """The records a step has written so far, and those it still owes."""

    def __init__(
        self,
        records: Shards[Made],
        dropped: Shards[Dropped],
        wanted: Callable[[Work], Sequence[str]],
        *,
        paid: bool = False,
    ):
        """`paid`: records are no more made again than they must be, and each is on disk as soon as it is there."""
        records.append(())  # what a killed process has left is what one that was not killed has
        dropped.append(())
        self.left_out: set[str] = set()
        super().__init__(records.ids(), self.left_out, wanted)
        self.records, self.dropped, self.paid = records, dropped, paid
        self.away: dict[str, set[DropReason]] = {}
        """Work that was left out for causes that may have passed, and these causes."""
        for record in dropped:
            if record.transient:
                self.away.setdefault(record.id, set()).add(record.reason)
            else:
                self.left_out.add(record.id)
        self.journals = Journal(records.folder, records.record_type), Journal(dropped.folder, Dropped)
        self.begun: dict[str, Made] = {record.id: record for record in self.journals[0].read()} if paid else {}
        """Records of blocks that are not whole, by their ids; so are those that say that work is left out."""
        left_out = self.journals[1].read() if paid else []
        self.begun_left_out = {record.id: record for record in left_out if not record.transient}
        self._over: set[tuple[str, DropReason]] = set()
        """Records of work that was left out and is not any more."""

    def again(self, all_blocks: Iterable[Sequence[Work]], is_back: Callable[[Work], bool]) -> int:
        """Has work done again that was left out for a cause that has passed, as `is_back` says; returns how much.

        Before `survey`.
        """
        back = 0
        for block in all_blocks if self.away else ():
            for work in block:
                if work.id in self.away and self.is_done(work):
                    self._overcome(work.id)
                elif work.id in self.away and is_back(work):
                    back += 1
                elif work.id in self.away:
                    self.left_out.add(work.id)
        return back

    def commit(
        self, all_blocks: Iterable[Sequence[Work]], make: Callable[[Sequence[Work]], Iterator[Made | Dropped]]
    ) -> Iterator[Made | Dropped]:
        """Makes the blocks that `survey` found unfinished, yields records as they come, appends each whole block.

        Where records are paid for, only the work of a block that is not done is made, and what an unfinished block has
        outlives everything; else it is made again.
        """
        for number, block in enumerate(all_blocks):
            if number not in self.todo:
                continue
            if self.paid:
                block = [work for work in block if not self.is_done(work)]
            kept: Whole[Work, Made] = Whole(block, self.wanted)
            with self.journals[0], self.journals[1]:
                yield from kept.collect(self._paid_once(block, make) if self.paid else make(block))
            self._append(kept)
            for journal in self.journals:
                journal.clear()
        self._forget()

    def commit_in_one_stream(
        self, all_blocks: Iterable[Sequence[Work]], make: Callable[[Iterable[Work]], Iterator[Made | Dropped]]
    ) -> Iterator[Made | Dropped]:
        """The same files as `commit`, with the work of one block following that of the last without a break.

        For a backend of several processes, which would wait for each other at the end of every block. `make` may be
        ahead in another thread. What a backend puts off until its stream ends (rows that gave way for lack of memory,
        requests of a process that died) holds back every later block, so a stream ends when it is `AHEAD` blocks ahead,
        and another one begins.
        """
        blocks_left = (block for number, block in enumerate(all_blocks) if number in self.todo)
        begun: deque[Whole[Work, Made]] = deque()
        block_of: dict[str, Whole[Work, Made]] = {}
        """Of a record's id."""
        block_of_work: dict[str, Whole[Work, Made]] = {}
        more = True

        def some_work() -> Iterator[Work]:
            nonlocal more
            while len(begun) < AHEAD:
                block = next(blocks_left, None)
                if block is None:
                    more = False
                    return
                kept: Whole[Work, Made] = Whole(block, self.wanted)
                block_of_work.update((work.id, kept) for work in block)
                block_of.update((id, kept) for work in block for id in self.wanted(work))
                begun.append(kept)
                yield from block

        while more:
            for record in make(some_work()):
                block = (block_of_work if isinstance(record, Dropped) else block_of)[record.id]
                block.add(record)
                yield record
                while begun and begun[0].is_whole():
                    done = begun.popleft()
                    self._append(done)
                    for work in done.block:
                        del block_of_work[work.id]
                        for id in self.wanted(work):
                            del block_of[id]
            assert not begun, f"neither made nor dropped: {begun[0].lost()[:3]}"
        self._forget()

    def survey(self, all_blocks: Iterable[Sequence[Work]]) -> None:
        super().survey(all_blocks)
        if not self.todo:  # a process that was killed may have had that left to do
            for journal in self.journals:
                journal.clear()
            self._forget()

    def _forget(self) -> None:
        """Nothing says any more that work is left out that has been done since."""
        if self._over:
            over = self._over
            self.dropped.replace(one for one in self.dropped if not (one.transient and (one.id, one.reason) in over))
            self._over = set()

    def _paid_once(
        self, block: Sequence[Work], make: Callable[[Sequence[Work]], Iterator[Made | Dropped]]
    ) -> Iterator[Made | Dropped]:
        """What a block's work gives: from the journals where they have all of it, else made, and kept as it comes."""
        owed = []
        for work in block:
            made = [self.begun[id] for id in self.wanted(work) if id in self.begun]
            left_out = self.begun_left_out.get(work.id)
            if left_out is None and len(made) < len(self.wanted(work)):
                owed.append(work)
                continue
            yield from made
            if left_out is not None:
                yield left_out
        records, drops = self.journals
        for record in make(owed) if owed else ():
            if isinstance(record, Dropped):
                drops.keep(record)
            elif record.id not in self.written and record.id not in self.begun:
                records.keep(record)
            yield record

    def _append(self, kept: "Whole[Work, Made]") -> None:
        self.records.append(kept.records(self.written))
        self.dropped.append(record for record in kept.left_out(self.left_out) if not self._said(record))
        for work in kept.block:
            if work.id in self.away and work.id not in self.left_out:
                self._overcome(work.id, kept.dropped.get(work.id))

    def _said(self, record: Dropped) -> bool:
        """Whether a record says the same of the work, for the same cause: it was tried in vain."""
        return record.transient and record.reason in self.away.get(record.id, ())

    def _overcome(self, id: str, now: Dropped | None = None) -> None:
        """Earlier causes to leave out a piece of work hold no more; `now`: the one that does."""
        said = now.reason if now is not None and now.transient else None
        self._over |= {(id, reason) for reason in self.away[id] if reason != said}


class Whole(Generic[Work, Made]):
    """The records of one block, until all of them are there."""

    def __init__(self, block: Sequence[Work], wanted: Callable[[Work], Sequence[str]]):
        self.block, self.wanted = block, wanted
        self.made: dict[str, Made] = {}
        self.dropped: dict[str, Dropped] = {}
        self._done = 0

    def collect(self, made: Iterable[Made | Dropped]) -> Iterator[Made | Dropped]:
        """Passes the records on and keeps them."""
        for record in made:
            self.add(record)
            yield record
        assert not self.lost(), f"neither made nor dropped: {self.lost()[:3]}"

    def add(self, record: Made | Dropped) -> None:
        if isinstance(record, Dropped):
            self.dropped[record.id] = record
        else:
            self.made[record.id] = record

    def lost(self) -> list[str]:
        """The ids of the work that lacks a record."""
        return [work.id for work in self.block if not self._is_done(work)]

    def is_whole(self) -> bool:
        """Asked after every record: what was found done is not looked at again."""
        while self._done < len(self.block) and self._is_done(self.block[self._done]):
            self._done += 1
        return self._done == len(self.block)

    def _is_done(self, work: Work) -> bool:
        return work.id in self.dropped or self.made.keys() >= set(self.wanted(work))

    def records(self, written: Container[str]) -> Iterator[Made]:
        """Those not written yet, in the order of the work."""
        wanted = (id for work in self.block for id in self.wanted(work))
        return (self.made[id] for id in wanted if id in self.made and id not in written)

    def left_out(self, known: Container[str]) -> Iterator[Dropped]:
        """What was dropped and is not known to be, in the order of the work."""
        return (self.dropped[w.id] for w in self.block if w.id in self.dropped and w.id not in known)
