"""Which of the usable records are trained on: at most so many, and none about a held-out question."""

import random
import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")
BUCKETS = 10_000


def at_most(records: Sequence[T], most: int | None, seed: int) -> list[T]:
    """`most` of the records, drawn with the seed, in their order; None: all."""
    if most is None or len(records) <= most:
        return list(records)
    return [records[number] for number in sorted(random.Random(seed).sample(range(len(records)), most))]


def split_held_out(records: Sequence[Any], share: float) -> tuple[list[Any], list[Any]]:
    """The records to train on, and those of about `share` of the questions, told by a checksum of the question's id."""
    limit = round(share * BUCKETS)
    kept: list[Any] = []
    held_out: list[Any] = []
    for record in records:
        bucket = zlib.crc32(record.question_id.encode()) % BUCKETS
        (held_out if bucket < limit else kept).append(record)
    return kept, held_out
