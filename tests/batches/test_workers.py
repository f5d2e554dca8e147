"""Rows encoded by worker processes, as `dataloader_num_workers` says, are those that the process itself encodes."""

from dataclasses import fields

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mixpo.batches.collator import Collator, taken_over
from mixpo.batches.encode import Encoder, Example
from mixpo.batches.layout import Layout
from mixpo.errors import DataError


def asking(text):
    return [{"role": "user", "content": text}]


@pytest.fixture
def rows():
    """Six of two questions with a picture each, one without."""
    pictures = [Image.effect_noise((60 + 20 * number, 80), 100).convert("RGB") for number in range(2)]
    asked = [
        {"images": [pictures[n // 3]], "prompt": asking(f"how many {n // 3}"), "question_id": n // 3} for n in range(6)
    ]
    told = [{**row, "chosen": "one " * (n + 1), "rejected": "two"} for n, row in enumerate(asked)]
    return [*told, {"images": [], "prompt": asking("three"), "chosen": "final answer", "rejected": "left"}]


def equal(left: Example, right: Example) -> None:
    for field in fields(Example):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if field.name == "image_inputs":
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)
        else:
            assert one == other, field.name


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_encode_the_same(internvl, rows, start):
    """Workers that are started anew get the encoder by pickling, with its memory of prompts."""
    collator = Collator(Encoder(internvl[1]), multiple=8)
    collator(rows[:1])
    workers = DataLoader(
        rows, batch_size=2, collate_fn=collator, num_workers=2, multiprocessing_context=start, persistent_workers=True
    )
    for _ in range(2):
        found = list(workers)
        expected = [collator(rows[place : place + 2]) for place in range(0, 7, 2)]
        assert [len(batch) for batch in found] == [2, 2, 2, 1]
        for batch, own in zip(found, expected, strict=True):
            for pair in zip(batch, own, strict=True):
                equal(*pair)
            theirs, ours = (collator.batch(examples, Layout.SHARED) for examples in (batch, own))
            assert theirs.keys == ours.keys
            assert torch.equal(theirs.inputs["input_ids"], ours.inputs["input_ids"])


def test_a_row_that_a_worker_cannot_encode_is_its_sentence(internvl, rows):
    workers = DataLoader([{**rows[0], "chosen": ""}], collate_fn=Collator(Encoder(internvl[1])), num_workers=1)
    with pytest.raises(DataError, match="a completion is empty"):
        list(workers)


def test_nothing_of_what_workers_hand_over_stays_an_open_file(internvl, rows):
    """256 pairs with two tensors each, of two optimizer steps, would be as many files as Linux lets a process open."""
    workers = DataLoader(rows, batch_size=6, collate_fn=Collator(Encoder(internvl[1])), num_workers=1)
    given = next(iter(workers))
    own = taken_over(given)
    for pair in zip(own, given, strict=True):
        equal(*pair)
    pictures = [example.image_inputs["pixel_values"] for example in own]
    assert given[0].image_inputs["pixel_values"].is_shared()
    assert not any(picture.is_shared() for picture in pictures)
    assert len({picture.data_ptr() for picture in pictures}) == 2
    assert taken_over(own)[0].image_inputs["pixel_values"] is pictures[0]
