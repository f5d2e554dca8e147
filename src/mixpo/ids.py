"""Record ids: a set that grows with the number of parents, not of records (children are bits); which records
are taken of many: a share by their ids, or so many."""

import random
import re
import zlib
from collections.abc import Sequence
from typing import TypeVar

NUMBERED = re.compile(r"(.*/)(0|[1-9][0-9]{0,2})", re.DOTALL)
"""Parent and number. Higher numbers are kept as text: one of them must not cost the memory of thousands; so are
numbers that begin with a zero, since "07" is another id than "7"."""

T = TypeVar("T")
BUCKETS = 10_000
"""Parts into which checksums divide ids."""


class Ids:
    """Ids met so far. `scenes-17/0` … `scenes-17/31` take one number of 32 bits, beside `scenes-17/` once.

    Exact for any text; only ids that end in `/<number>` are that small.
    """

    def __init__(self) -> None:
        self._children: dict[str, int] = {}
        self._others: set[str] = set()

    def add(self, id: str) -> bool:
        """Whether the id is new."""
        parent, bit = _split(id)
        if not bit:
            size = len(self._others)
            self._others.add(id)
            return len(self._others) > size
        before = self._children.get(parent, 0)
        self._children[parent] = before | bit
        return not before & bit

    def __contains__(self, id: object) -> bool:
        parent, bit = _split(str(id))
        return bool(self._children.get(parent, 0) & bit) if bit else id in self._others

    def __len__(self) -> int:
        return len(self._others) + sum(bits.bit_count() for bits in self._children.values())


def _split(id: str) -> tuple[str, int]:
    """The parent, slash included, and the child's bit; bit 0 when the id does not end in `/<number>`."""
    parts = NUMBERED.fullmatch(id)
    return (parts[1], 1 << int(parts[2])) if parts else (id, 0)


def at_most(records: Sequence[T], most: int | None, seed: int) -> list[T]:
    """`most` of the records, drawn with the seed, in their order; None: all."""
    if most is None or len(records) <= most:
        return list(records)
    return [records[number] for number in sorted(random.Random(seed).sample(range(len(records)), most))]


def in_share(id: str, share: float) -> bool:
    """Whether an id is of the `share` of all that its checksum tells: always the same ones."""
    return zlib.crc32(id.encode()) % BUCKETS < round(share * BUCKETS)
