import pytest
import torch

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout, lay_out, merge_images

EXAMPLES = [
    Example(
        prompt_ids=[10, 11, 12], completions=[[20, 21], [30, 31, 32]], image_inputs={"pixel_values": torch.ones(2, 3)}
    ),
    Example(prompt_ids=[13], completions=[[40, 41], [50]], image_inputs={"pixel_values": torch.zeros(1, 3)}),
]


def test_shared_rows():
    """One row an example; the completions' positions both go on from the prompt's end."""
    batch = lay_out(EXAMPLES, Layout.SHARED, pad_id=0)
    assert batch.inputs["input_ids"].tolist() == [
        [10, 11, 12, 20, 21, 30, 31, 32],  # prompt, chosen, rejected
        [13, 40, 41, 50, 0, 0, 0, 0],  # and four pads
    ]
    assert batch.inputs["position_ids"].tolist() == [
        [0, 1, 2, 3, 4, 3, 4, 5],
        [0, 1, 2, 1, 0, 0, 0, 0],
    ]
    sees = batch.inputs["attention_mask"][:, 0].int().tolist()
    assert sees[0] == [
        [1, 0, 0, 0, 0, 0, 0, 0],  # prompt: causal
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],  # chosen: the prompt and itself
        [1, 1, 1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 1, 0, 0],  # rejected: the prompt and itself, not the chosen one
        [1, 1, 1, 0, 0, 1, 1, 0],
        [1, 1, 1, 0, 0, 1, 1, 1],
    ]
    assert sees[1] == [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 0, 0],  # padding sees itself alone: a row without a key makes softmax NaN
        [0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
    ]
    # Both completions' first tokens are predicted at the prompt's last one: 2, and 8 + 0 in the second row.
    assert batch.positions.tolist() == [2, 3, 2, 5, 6, 8, 9, 8]
    assert batch.targets.tolist() == [20, 21, 30, 31, 32, 40, 41, 50]
    assert batch.segments.tolist() == [0, 0, 1, 1, 1, 2, 2, 3]
    assert batch.lengths.tolist() == [2, 3, 2, 1]
    assert batch.chosen.tolist() == [0, 2]
    assert batch.rejected.tolist() == [1, 3]
    assert batch.tokens == 12
    assert batch.inputs["pixel_values"].tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


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


def test_image_inputs_of_other_sizes_are_zero_padded():
    merged = merge_images([{"x": torch.ones(1, 1, 2)}, {}, {"x": torch.full((1, 2, 1), 2.0), "y": torch.tensor([[5]])}])
    assert merged["x"].tolist() == [[[1, 1], [0, 0]], [[2, 0], [2, 0]]]
    assert merged["y"].tolist() == [[5]]
