"""Rows to encoded examples, and examples to the micro-batches of one optimizer step."""

from collections.abc import Mapping, Sequence
from typing import Any

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Batch, Layout, lay_out


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
        return [self.encoder(row) for row in rows]

    def batch(self, examples: Sequence[Example], layout: Layout) -> Batch:
        return lay_out(examples, layout, self.pad_id, self.multiple)

    @property
    def pad_id(self) -> int:
        tokenizer = self.encoder.tokenizer
        return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
