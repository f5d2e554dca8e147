"""What a step left out: counted by reason, and said on the screen in a line for each source and reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from mixpo.errors import DataError
from mixpo.progress import say
from mixpo.records import Dropped, DropReason

T = TypeVar("T")


class LeftOut:
    """What a section left out, by reason; of every source and reason the first."""

    def __init__(self, section: str, what: str, sources: Iterable[str] = (), place: Path | None = None):
        """`what`: one of the things that are left out ("row", "question"); `sources`: names that their ids begin with;
        `place`: the folder in which all of them stand."""
        self.section, self.what, self.place = section, what, place
        self.sources = sorted(sources, key=len, reverse=True)
        self.counts: Counter[str] = Counter()
        self._left_out: Counter[tuple[str, str, bool]] = Counter()
        self._first: dict[tuple[str, str, bool], Dropped] = {}

    def drop(self, entry: Dropped, source: str = "") -> None:
        """`source`: where it comes from; empty: the one of `sources` that its id begins with.

        Responses that were not drawn since there were enough (`DropReason.BALANCED`) are no loss.
        """
        if entry.reason is DropReason.BALANCED:
            return
        self.counts[entry.reason] += entry.count
        key = (source or source_of(entry.id, self.sources), entry.reason, entry.transient)
        self._left_out[key] += entry.count
        self._first.setdefault(key, entry)

    def watch(self, records: Iterable[T]) -> Iterator[T]:
        """The records as they come; those that are left out are counted."""
        for record in records:
            if isinstance(record, Dropped):
                self.drop(record)
            yield record

    def sentences(self) -> list[str]:
        """For each source and reason how many, and why the first: "2 rows left out, the first because …"."""
        found = []
        for (_, reason, transient), first, number in zip(self._first, self._first.values(), self._left_out.values()):
            which = "" if number == first.count else ", the first"
            everything = f"; all are in {self.place}" if self.place is not None and number > 1 else ""
            why = first.detail or reason.replace("_", " ")
            again = "; the next run tries again" if transient else ""
            found.append(f"{counted(number, self.what)} left out{which} because {why} ({first.id}){everything}{again}")
        return found

    @property
    def may_pass(self) -> bool:
        """Whether the causes of all of them may pass, so that the next run tries again."""
        return all(transient for _, _, transient in self._first)

    def tell(self) -> None:
        """Says them, each after its source, or the section where there is none."""
        for (source, *_), sentence in zip(self._first, self.sentences()):
            say(f"source {source!r}: {sentence}" if source else f"{self.section}: {sentence}")

    def nothing_left(self, what: str) -> DataError:
        """The error of a step that has nothing to go on with, `what`: with all the sentences, said nowhere else."""
        return DataError(f"{what}: {'; '.join(self.sentences()) or 'it is empty'}")


def source_of(id: str, sources: Sequence[str]) -> str:
    """The source, the longest names first, whose name an id of a question or of a row begins with; empty: none."""
    return next((name for name in sources if id.startswith((f"{name}/", f"{name}-"))), "")


def counted(number: int, what: str) -> str:
    """ "1 row", "2,000 rows"."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def listed(counts: Mapping[str, int]) -> str:
    """Counts by reason, as text: "2 bad_row, 1 empty"."""
    return ", ".join(f"{number:,} {reason}" for reason, number in sorted(counts.items()))
