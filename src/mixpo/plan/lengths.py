"""Lengths of a training's prompts and completions, of a sample of its pairs or of the longest."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from mixpo.batches.encode import Encoder, Example
from mixpo.batches.grouping import group
from mixpo.errors import DataError, ImageError
from mixpo.models.shape import Prompt, tower_tokens
from mixpo.training.rows import RowDataset

SAMPLE = 1000
"""Pairs that are encoded; of more, evenly spread groups."""
A_TOKEN, AN_IMAGE = 3, 1000
"""Characters of a token, and tokens of an image: to find the longest pairs without encoding all."""


@dataclass(frozen=True)
class Pairs:
    """A group of pairs that share a prompt: their number, and the lengths with and without rejected completions."""

    count: int
    full: Prompt
    chosen: Prompt


def chunks(rows: RowDataset, size: int) -> list[list[int]]:
    """Numbers of the rows in groups of up to `size` of a question, where they stand in succession."""
    wholes = [list(numbers) for _, numbers in groupby(range(len(rows)), key=lambda row: rows.records[row].question_id)]
    return [whole[start : start + size] for whole in wholes for start in range(0, len(whole), size)]


def sampled(rows: RowDataset, size: int) -> list[list[int]]:
    """Evenly spread groups."""
    return chunks(rows, size)[:: max(1, round(len(rows) / SAMPLE))]


def longest_rows(rows: RowDataset, size: int, count: int) -> list[list[int]]:
    """The groups that are about the longest, with `count` rows at least if there are so many."""

    def length(numbers: list[int]) -> float:
        records = [rows.records[number] for number in numbers]
        first = records[0]
        texts = [first.prompt, first.system, *(turn.text for turn in first.turns)]
        texts += [
            text for record in records for name in ("chosen", "rejected", "text") if (text := _text(record, name))
        ]
        return sum(map(len, texts)) / A_TOKEN + AN_IMAGE * len(first.images)

    found: list[list[int]] = []
    for numbers in sorted(chunks(rows, size), key=length, reverse=True):
        if sum(map(len, found)) >= count:
            break
        found.append(numbers)
    return found


def _text(record: Any, name: str) -> str:
    return getattr(record, name, "") or ""


def encoded(rows: RowDataset, groups: Sequence[Sequence[int]], encoder: Encoder, patch: int) -> Iterator[Pairs]:
    """The groups' true lengths; rows that the training drops are left out."""
    for numbers in groups:
        examples = []
        for number in numbers:
            try:
                examples.append(encoder(rows[number]))
            except (DataError, ImageError):
                continue
        for one in group(examples)[0] if examples else ():
            mine = [example for example in examples if example.key == one.prompt.key]
            chosen = {tuple(example.completions[0]) for example in mine}
            yield Pairs(
                len(mine),
                lengths(one.prompt, one.completions, encoder, patch),
                lengths(one.prompt, [list(ids) for ids in chosen], encoder, patch),
            )


def lengths(prompt: Example, completions: Sequence[list[int]], encoder: Encoder, patch: int) -> Prompt:
    images = encoder.chat.image_tokens
    return Prompt(
        tokens=len(prompt.prompt_ids),
        completions=tuple(map(len, completions)),
        images=tower_tokens(prompt.image_inputs, patch),
        image_tokens=sum(token in images for token in prompt.prompt_ids),
    )


def micro_batch(groups: Sequence[Pairs], pairs: int, row_tokens: int | None, chosen: bool) -> list[Prompt]:
    """The longest micro-batch of so many pairs, or the longest row of it; `chosen`: without rejected completions."""
    rows: list[Prompt] = []
    left = pairs
    for one in sorted(groups, key=lambda one: one.full.length, reverse=True):
        if left <= 0:
            break
        rows.append(_cut(one.chosen if chosen else one.full, left / one.count))
        left -= one.count
    if row_tokens is None or sum(row.length for row in rows) <= row_tokens or not rows:
        return rows
    row = rows[:1]
    while rows[len(row) :] and sum(one.length for one in rows[: len(row) + 1]) <= row_tokens:
        row = rows[: len(row) + 1]
    while row[0].length > row_tokens and len(row[0].completions) > 2 - chosen:
        row = [
            replace(row[0], completions=tuple(sorted(row[0].completions, reverse=True)[: len(row[0].completions) - 1]))
        ]
    return row


def _cut(prompt: Prompt, share: float) -> Prompt:
    """With the longest of its completions, that share of them."""
    count = math.ceil(len(prompt.completions) * min(share, 1))
    return replace(prompt, completions=tuple(sorted(prompt.completions, reverse=True)[:count]))
