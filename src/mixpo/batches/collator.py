"""Rows to encoded examples, and examples to the micro-batches of one optimizer step."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Batch, Layout, lay_out
from mixpo.errors import DataError


class Collator:
    """What the DataLoader calls: encodes rows one by one and leaves them apart.

    Tensors are made later, when the trainer knows all rows of the optimizer step (`grouping.split`): the
    loss does not depend on how pairs are split into micro-batches, so pairs of one question can share one.
    """

    def __init__(self, encoder: Encoder, multiple: int = 1):
        """`multiple`: what shared rows are padded to (`mixpo.models.attention.row_multiple`)."""
        self.encoder = encoder
        self.multiple = multiple

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> list[Example]:
        return [self._encoded(row) for row in rows]

    def _encoded(self, row: Mapping[str, Any]) -> Example:
        """Raises DataError for a row that cannot be trained on, which names it where it has an `id`."""
        try:
            return self.encoder(row)
        except DataError as error:
            raise (DataError(f"{row['id']}: {error}") if "id" in row else error) from error

    def batch(self, examples: Sequence[Example], layout: Layout) -> Batch:
        return lay_out(examples, layout, self.pad_id, self.multiple)

    @property
    def pad_id(self) -> int:
        tokenizer = self.encoder.tokenizer
        return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id


def taken_over(examples: Sequence[Example]) -> list[Example]:
    """Examples of a DataLoader's worker, with images in memory of this process's own.

    What a worker hands over is an open file in /dev/shm for each tensor. An optimizer step's examples are all there
    before it begins, and those of the step before as well: more files than a process may open (1024, usually).
    """
    copies: dict[int, Tensor] = {}

    def own(tensor: Tensor) -> Tensor:
        if not tensor.is_shared():
            return tensor
        if id(tensor) not in copies:  # pairs of a question have theirs in common
            copies[id(tensor)] = tensor.clone()
        return copies[id(tensor)]

    return [
        replace(example, image_inputs={name: own(value) for name, value in example.image_inputs.items()})
        for example in examples
    ]
