"""What a step left out: counted by reason, and said on the screen."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from mixpo.progress import say
from mixpo.records import Dropped, DropReason

T = TypeVar("T")


class LeftOut:
    """How many records there are and what was left out, by reason; of every source and reason the first."""

    def __init__(self, sources: Sequence[str] = ()):
        self.sources = sorted(sources, key=len, reverse=True)
        self.counts: Counter[str] = Counter()
        self._left_out: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], Dropped] = {}

    def drop(self, entry: Dropped, source: str = "") -> None:
        """`source`: where it comes from; empty: the one of `sources` that its id begins with."""
        self.counts[entry.reason] += entry.count
        named = (name for name in self.sources if entry.id.startswith((f"{name}/", f"{name}-")))
        key = (source or next(named, entry.id), entry.reason)
        self._left_out[key] += entry.count
        self._first.setdefault(key, entry)

    def tell(self) -> None:
        """A line for each source and reason, with the first row's."""
        for (source, reason), first in self._first.items():
            number = self._left_out[source, reason]
            rows = "1 row" if number == 1 else f"{number:,} rows"
            which = "" if number == first.count else ", the first"
            say(f"source {source!r}: {rows} left out{which} because {first.detail} ({first.id})")


def telling_left_out(records: Iterable[T], name: str) -> Iterator[T]:
    """A section's records; at their end a line of those that were left out, by reason, and why the first was.

    Responses that were not drawn since there were enough (`DropReason.BALANCED`) are no loss.
    """
    counts: Counter[str] = Counter()
    first: Dropped | None = None
    for record in records:
        yield record
        if isinstance(record, Dropped) and record.reason is not DropReason.BALANCED:
            first = first or record
            counts[record.reason] += record.count
    if first is not None:
        why = first.detail or first.reason
        say(f"{name}: left out: {listed(counts)}, see dropped/{name}; the first, {first.id}, because {why}")


def listed(counts: Mapping[str, int]) -> str:
    """Counts by reason, as text: "2 bad_row, 1 empty"."""
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.items()))
