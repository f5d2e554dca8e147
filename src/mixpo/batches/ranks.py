"""Which rows of a rank's batches are its own: accelerate fills the last round of an epoch with rows from its start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class RankShare:
    """The rows of one rank. Batches go to the ranks in turn (`accelerate.data_loader.BatchSamplerShard`).

    When the rows are used up, the ranks without a whole batch get rows from the epoch's start, so that all have the
    same number of batches. Counted a second time, they would weigh twice.
    """

    rows: int
    """Of the whole data set."""
    batch: int
    """Rows of a rank's batch."""
    ranks: int
    rank: int

    def own(self, batches: Sequence[Sequence[Row]], first: int) -> list[list[Row]]:
        """The batches without repeated rows; the number of the first, within its epoch, is `first`."""
        starts = [((first + number) * self.ranks + self.rank) * self.batch for number in range(len(batches))]
        return [list(batch[: max(0, self.rows - start)]) for batch, start in zip(batches, starts, strict=True)]

    def first_batch(self, step: int, accumulation: int) -> int:
        """Number, within its epoch, of the first batch of optimizer step `step` (from 0, over all epochs)."""
        rounds = -(-self.rows // (self.batch * self.ranks))
        return step % -(-rounds // accumulation) * accumulation
