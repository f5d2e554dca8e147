"""Which records are trained on."""

from dataclasses import dataclass

import pytest
from PIL import Image

from mixpo.batches.encode import Encoder, TooLong
from mixpo.ids import at_most
from mixpo.images import ImageRoots
from mixpo.records import DropReason, Origin, PreferencePair
from mixpo.training.rows import RowDataset
from mixpo.training.selection import split_held_out, usable


@dataclass
class Record:
    question_id: str


RECORDS = [Record(f"q{number // 3}") for number in range(3000)]


def test_at_most_keeps_the_order_and_depends_on_the_seed():
    drawn = at_most(RECORDS, 50, 0)
    assert len(drawn) == 50
    numbers = [RECORDS.index(record) for record in drawn]
    assert numbers == sorted(numbers)
    assert at_most(RECORDS, 50, 0) == drawn != at_most(RECORDS, 50, 1)
    assert at_most(RECORDS, None, 0) == at_most(RECORDS, 5000, 0) == RECORDS


def test_held_out_questions_share_no_pair_with_the_others():
    kept, held_out = split_held_out(RECORDS, 0.1)
    assert len(kept) + len(held_out) == 3000
    assert not {record.question_id for record in kept} & {record.question_id for record in held_out}
    assert 60 < len({record.question_id for record in held_out}) < 140
    assert split_held_out(RECORDS, 0.0) == (RECORDS, [])


@pytest.fixture
def encoder(processor):
    encoder = Encoder(processor)
    encoder.context = 200
    return encoder


def pair(name, prompt="How many?", chosen="one", rejected="two", **more):
    return PreferencePair(
        id=name, question_id=name, prompt=prompt, chosen=chosen, rejected=rejected, origin=Origin.CORRECTNESS, **more
    )


def test_what_is_longer_than_the_context_is_left_out(encoder, tmp_path):
    """With its pictures, and with its longest completion; a prompt with many bytes that fits is kept."""
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    red, long = "own/red.png", "How many? " * 60
    records = [
        pair("fits", images=(red,)),
        pair("prompt", long),
        pair("rejected", rejected="two " * 150),
        pair("pictures", images=(red,) * 12),
        pair("bytes", "Let me look closely. " * 8),
    ]
    dropped = []
    assert len("Let me look closely. " * 8) > 160
    kept = usable(records, encoder, ImageRoots({"own": tmp_path}), "train", dropped)
    assert [one.id for one in kept] == ["fits", "bytes"]
    assert [(one.id, one.reason) for one in dropped] == [
        (name, DropReason.PROMPT_TOO_LONG) for name in ("prompt", "rejected", "pictures")
    ]
    assert "the model has positions for 200" in dropped[0].detail
    roots = ImageRoots({"own": tmp_path})
    for record in records:  # what is kept is what can be encoded
        try:
            encoder(RowDataset([record], roots)[0])
            assert record in kept
        except TooLong:
            assert record not in kept


def test_pairs_of_the_same_tokens_are_left_out(encoder):
    records = [pair("other"), pair("text", chosen="one", rejected="one")]
    records += [
        pair("end", chosen="one", rejected="one<|im_end|>\n"),
        pair("cut", rejected="one", rejected_ended=False),
    ]
    dropped = []
    kept = usable(records, encoder, ImageRoots({}), "train", dropped)
    assert [one.id for one in kept] == ["other", "cut"]
    assert [(one.id, one.reason) for one in dropped] == [(name, DropReason.SAME_TEXT) for name in ("text", "end")]
