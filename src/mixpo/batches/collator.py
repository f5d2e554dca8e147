"""Rows to encoded examples, and examples to the micro-batches of one optimizer step."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Batch, Layout, lay_out
from mixpo.batches.rows import is_standard, named
from mixpo.errors import DataError, ImageError

log = logging.getLogger(__name__)
UNTEMPLATED = (
    "rows of texts alone are tokenised as they are, without the chat template, and, with a column of images, without "
    "an end token (as in TRL); give the prompt as messages, [{'role': 'user', 'content': …}], to have both"
)


class Collator:
    """What the DataLoader calls: encodes rows one by one and leaves them apart.

    Tensors are made later, when the trainer knows all rows of the optimizer step (`grouping.split`): the
    loss does not depend on how pairs are split into micro-batches, so pairs of one question can share one.
    """

    def __init__(self, encoder: Encoder, multiple: int = 1, data_sets: Sequence[Any] = ()):
        """`multiple`: what shared rows are padded to (`mixpo.models.attention.row_multiple`). `data_sets`: where rows
        come from, to say which one is at fault."""
        self.encoder = encoder
        self.multiple = multiple
        self.data_sets = data_sets
        self._equal = 0
        self._untemplated = False

    def __call__(self, rows: Iterable[Mapping[str, Any]]) -> list[Example]:
        return [self._encoded(row) for row in rows]

    def _encoded(self, row: Mapping[str, Any]) -> Example:
        """Raises DataError for a row that cannot be trained on, which names it."""
        try:
            example = self.encoder(row)
        except (DataError, ImageError) as error:
            raise DataError(f"{named(row, self.data_sets)}: {error}") from error
        if not self._untemplated and is_standard(row):
            self._untemplated = True
            log.warning(UNTEMPLATED)
        if len(example.completions) > 1 and example.completions[0] == example.completions[1]:
            self._tell_equal(row)
        return example

    def _tell_equal(self, row: Mapping[str, Any]) -> None:
        """A warning of the first pair without a preference, of the tenth, of the hundredth …"""
        self._equal += 1
        if str(self._equal).strip("0") == "1":
            what = "pair whose" if self._equal == 1 else "pairs whose"
            log.warning(
                "%d %s chosen and rejected are the same tokens (%s): no preference is learned there; drop such rows",
                self._equal, what, named(row, self.data_sets),
            )  # fmt: skip

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
