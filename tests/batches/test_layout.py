from dataclasses import replace

import pytest
import torch

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout, lay_out

EXAMPLES = [
    Example(
        prompt_ids=[10, 11, 12], completions=[[20, 21], [30, 31, 32]], image_inputs={"pixel_values": torch.ones(2, 3)}
    ),
    Example(prompt_ids=[13], completions=[[40, 41], [50]], image_inputs={"pixel_values": torch.zeros(1, 3)}),
]


def test_shared_rows():
    """One packed row without padding; completions' positions go on from their prompt's end."""
    batch = lay_out(EXAMPLES, Layout.SHARED, pad_id=0)
    assert batch.inputs["input_ids"].tolist() == [[10, 11, 12, 20, 21, 30, 31, 32, 13, 40, 41, 50]]
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 3, 4, 3, 4, 5, 0, 1, 2, 1]]
    assert batch.prefixes.tolist() == [
        [3, 2, 3],  # prompt, chosen, rejected
        [1, 2, 1],
    ]
    # Both completions' first tokens are predicted at their prompt's last one: place 2, and place 8.
    assert batch.positions.tolist() == [2, 3, 2, 5, 6, 8, 9, 8]
    assert batch.targets.tolist() == [20, 21, 30, 31, 32, 40, 41, 50]
    assert batch.segments.tolist() == [0, 0, 1, 1, 1, 2, 2, 3]
    assert batch.lengths.tolist() == [2, 3, 2, 1]
    assert batch.chosen.tolist() == [0, 2]
    assert batch.rejected.tolist() == [1, 3]
    assert batch.tokens == 12
    assert batch.inputs["pixel_values"].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


def test_shared_rows_are_padded_to_a_multiple():
    """For a GPU's kernels: input ids, positions on all axes and token types; nothing of it is scored or counted."""
    typed = [
        replace(example, positions=torch.arange(len(example.prompt_ids)).expand(3, -1), token_types={"kind": kinds})
        for example, kinds in zip(EXAMPLES, ([1, 1, 0], [1]), strict=True)
    ]
    plain, padded = (lay_out(typed, Layout.SHARED, pad_id=99, multiple=multiple) for multiple in (1, 8))
    assert padded.inputs["input_ids"].tolist() == [[*plain.inputs["input_ids"][0].tolist(), 99, 99, 99, 99]]
    assert padded.inputs["position_ids"].shape == (3, 1, 16)
    for name in ("position_ids", "kind"):
        assert torch.equal(padded.inputs[name][..., :12], plain.inputs[name])
        assert padded.inputs[name][..., 12:].sum() == 0
    assert padded.tokens == plain.tokens == 12
    for name in ("prefixes", "positions", "targets", "segments", "lengths"):
        assert torch.equal(getattr(padded, name), getattr(plain, name))
    assert padded.inputs["kind"].shape == (1, 16)
    exact = lay_out(typed, Layout.SHARED, pad_id=99, multiple=4)
    assert torch.equal(exact.inputs["input_ids"], plain.inputs["input_ids"])
    assert lay_out(typed, Layout.PAIRED, pad_id=99, multiple=8).inputs["input_ids"].shape == (4, 6)


PAIRS_OF_ONE_QUESTION = [
    Example(prompt_ids=[7, 8], completions=[[1], [2]], key=b"q", image_inputs={"pixel_values": torch.ones(1, 1)}),
    Example(prompt_ids=[9], completions=[[1], [6]], key=b"other"),
    Example(prompt_ids=[7, 8], completions=[[3, 4], [2]], key=b"q", image_inputs={"pixel_values": torch.ones(1, 1)}),
]


def test_pairs_of_a_question_share_its_prompt_image_and_completions():
    """The first and the third pair have the same rejected completion: it stands once, and counts in both."""
    batch = lay_out(PAIRS_OF_ONE_QUESTION, Layout.SHARED, pad_id=0)
    assert batch.inputs["input_ids"].tolist() == [[7, 8, 1, 2, 3, 4, 9, 1, 6]]
    assert batch.prefixes.tolist() == [[2, 1, 1, 2], [1, 1, 1, 0]]
    assert batch.lengths.tolist() == [1, 1, 2, 1, 1]
    assert batch.chosen.tolist() == [0, 3, 2]
    assert batch.rejected.tolist() == [1, 4, 1]
    assert batch.inputs["pixel_values"].shape == (1, 1)


def test_completions_of_several_pairs_stand_once_in_paired_rows():
    batch = lay_out(PAIRS_OF_ONE_QUESTION, Layout.PAIRED, pad_id=0)
    assert batch.inputs["input_ids"].tolist() == [[7, 8, 1, 0], [7, 8, 2, 0], [7, 8, 3, 4], [9, 1, 0, 0], [9, 6, 0, 0]]
    assert batch.chosen.tolist() == [0, 3, 2]
    assert batch.rejected.tolist() == [1, 4, 1]
    assert batch.tokens == 3 + 3 + 4 + 2 + 2


def test_token_types_of_prompts():
    examples = [
        Example(prompt_ids=[1, 2], completions=[[3], [4]], token_types={"kind": [0, 1]}),
        Example(prompt_ids=[5], completions=[[6], [7]], token_types={"kind": [1]}),
    ]
    assert lay_out(examples, Layout.SHARED, pad_id=0).inputs["kind"].tolist() == [[0, 1, 0, 0, 1, 0, 0]]
    assert lay_out(examples, Layout.PAIRED, pad_id=0).inputs["kind"].tolist() == [
        [0, 1, 0],
        [0, 1, 0],
        [1, 0, 0],
        [1, 0, 0],
    ]


def test_paired_rows():
    """One row a completion; the images of an example stand once for each of its rows."""
    batch = lay_out(EXAMPLES, Layout.PAIRED, pad_id=0)
    assert batch.inputs["input_ids"].tolist() == [
        [10, 11, 12, 20, 21, 0],
        [10, 11, 12, 30, 31, 32],
        [13, 40, 41, 0, 0, 0],
        [13, 50, 0, 0, 0, 0],
    ]
    assert batch.inputs["attention_mask"].tolist() == [
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
    ]
    assert "position_ids" not in batch.inputs
    assert batch.positions.tolist() == [2, 3, 8, 9, 10, 12, 13, 18]
    assert batch.targets.tolist() == [20, 21, 30, 31, 32, 40, 41, 50]
    assert batch.segments.tolist() == [0, 0, 1, 1, 1, 2, 2, 3]
    assert batch.inputs["pixel_values"].shape == (6, 3)


def test_a_real_token_with_the_pads_id_is_not_masked():
    """Id 0 is "!" in Qwen's vocabulary: masks are built from lengths."""
    example = Example(prompt_ids=[0, 7, 0], completions=[[0, 5]])
    batch = lay_out([example, Example(prompt_ids=[1], completions=[[2]])], Layout.PAIRED, pad_id=0)
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]


def test_supervised_examples_have_no_rejected():
    batch = lay_out([Example(prompt_ids=[1, 2], completions=[[3]])], Layout.SHARED, pad_id=0)
    assert batch.rejected is None
    assert batch.pairs == 1


@pytest.mark.parametrize("layout", [Layout.SHARED, Layout.PAIRED])
def test_text_only_examples(layout):
    batch = lay_out([Example(prompt_ids=[1, 2], completions=[[3], [4]])], layout, pad_id=0)
    assert "pixel_values" not in batch.inputs


def pixels(value):
    return {"pixel_values": torch.full((1, 3, 2, 2), float(value))}


@pytest.mark.parametrize("layout", [Layout.SHARED, Layout.PAIRED])
def test_questions_of_the_same_words_keep_their_own_pictures(layout):
    """Three questions of the same words: two have the same picture under another prompt's key, one has its own."""
    prompt = {"prompt_ids": [7, 8], "completions": [[1], [2]]}
    batch = lay_out(
        [
            Example(**prompt, key=b"1", image_key=b"red", image_inputs=pixels(1)),
            Example(**prompt, key=b"2", image_key=b"blue", image_inputs=pixels(2)),
            Example(**prompt, key=b"3", image_key=b"red", image_inputs=pixels(1)),
        ],
        layout,
        pad_id=0,
    )
    rows = 1 if layout is Layout.SHARED else 2
    if layout is Layout.SHARED:
        assert batch.inputs["input_ids"].tolist() == [[7, 8, 1, 2] * 3]
    assert batch.inputs["pixel_values"].shape[0] == 2  # each picture once …
    shown = batch.inputs["pixel_values"][batch.tiles][:, 0, 0, 0]
    assert shown.tolist() == [1] * rows + [2] * rows + [1] * rows  # … and every prompt sees its own
    # The same tokens after other pictures are other completions: their reference must not be taken from the cache.
    assert len(set(batch.keys)) == 6


def test_what_is_scored_is_known_on_the_host():
    """Completions of pairs, each once; none of an example that is no pair."""
    again = replace(EXAMPLES[0], completions=[[30, 31, 32], [20, 21]])  # the same two completions, the other way round
    filler = replace(EXAMPLES[1], counted=False)
    assert lay_out([EXAMPLES[0], filler, again], Layout.SHARED, pad_id=0).scored == [0, 1, 4, 5]
    keyed = [replace(example, key=b"one") for example in (EXAMPLES[0], again)]
    assert lay_out([*keyed, filler], Layout.PAIRED, pad_id=0).scored == [0, 1]
