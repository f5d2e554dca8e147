"""Attention over a shared prompt and own tokens equals attention over both in one row."""

import pytest
import torch

from mixpo.responses.backends.embedded.attention import Grouping, StepLayout, StepShape, attend
from mixpo.responses.backends.embedded.kv_cache import Memory, Slab

LENGTHS = torch.tensor([3, 5])
PROMPT_OF = torch.tensor([1, 0, 1, 1])
COUNTS = torch.tensor([0, 2, 4, 1])


def plain_attention(query, keys, values, scaling, softcap):
    """(heads, width) over (tokens, heads, width), written out."""
    scores = torch.einsum("hd,thd->ht", query, keys) * scaling
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    return torch.einsum("ht,thd->hd", scores.softmax(-1), values)


@pytest.mark.parametrize("window", [None, 3, 6])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_attend_equals_plain_attention(window, softcap):
    """4 query heads on 2 key heads; junk beyond each length must not matter, NaN excepted (memory starts as zeros)."""
    torch.manual_seed(0)
    query = torch.randn(4, 4, 1, 8)
    prompts = torch.randn(2, 2, 2, 7, 8)  # keys and values
    own = torch.randn(2, 4, 2, 5, 8)
    step = StepLayout(Grouping.of(LENGTHS, PROMPT_OF), COUNTS, 5)
    found = attend(query * 0.3, (prompts[0], prompts[1]), (own[0], own[1]), step, window, softcap)
    for row in range(4):
        prompt, count = PROMPT_OF[row], COUNTS[row] + 1  # the newest token is in memory
        both = torch.cat([prompts[:, prompt, :, : LENGTHS[prompt]], own[:, row, :, :count]], dim=2).transpose(1, 2)
        if window is not None:
            both = both[:, -window:]
        keys, values = both.repeat_interleave(2, dim=2)
        expected = plain_attention(query[row, :, 0], keys, values, 0.3, softcap)
        torch.testing.assert_close(found[row, :, 0], expected, atol=1e-5, rtol=1e-5)


def test_step_places():
    """Prompt 0 has row 1; prompt 1 has rows 0, 2, 3."""
    found = Grouping.of(LENGTHS, PROMPT_OF)
    assert found.slots.tolist() == [[1, 0, 0], [0, 2, 3]]
    assert found.places.tolist() == [3, 0, 4, 5]
    assert found.prompt_lengths.tolist() == [5, 3, 5, 5]


def test_places_of_a_larger_shape():
    """One prompt, one row and one place of each prompt more than there are."""
    found = Grouping.of(LENGTHS, PROMPT_OF, StepShape(rows=5, prompts=3, most=4))
    assert found.slots.tolist() == [[1, 0, 0, 0], [0, 2, 3, 0], [0, 0, 0, 0]]
    assert found.places.tolist() == [4, 0, 5, 6, 0]
    assert found.lengths.tolist() == [3, 5, 0]
    assert found.prompt_lengths.tolist() == [5, 3, 5, 5, 0]


def test_slab_keeps_the_rows_that_stay():
    """Rows 0 and 3 leave: the last (4) moves to 0."""
    slab = Slab()
    like = [(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 2))]
    slab.resize(like, 5, 2)
    slab.rows = 5
    slab.layers[0][0][:, 0, :, 0] = torch.arange(10.0).view(5, 2)
    order = slab.keep(torch.tensor([False, True, True, False, True]))
    assert order.tolist() == [4, 1, 2]
    assert slab.layers[0][0][:3, 0, :, 0].tolist() == [[8, 9], [2, 3], [4, 5]]
    slab.resize(like, 3, 4)
    assert slab.layers[0][0][:3, 0, :, 0].tolist() == [[8, 9, 0, 0], [2, 3, 0, 0], [4, 5, 0, 0]]
    assert slab.layers[0][1].shape == (3, 1, 4, 2)


def test_memory_joins_and_leaves():
    """Two left-padded prompts of 2 and 3 tokens; prompt 1 with two rows, prompt 0 with one, which leaves."""
    memory = Memory(10_000, torch.device("cpu"), [None])
    keys = torch.tensor([[0.0, 1, 2], [3, 4, 5]])[:, None, :, None]
    memory.join([(keys, -keys)], torch.tensor([2, 3]), torch.tensor([1, 1, 0]))
    stored = memory.prompts.layers[0][0][:2, 0, :, 0]
    assert stored.tolist() == [[1, 2, 2], [3, 4, 5]]  # what stands behind a prompt's end is not looked at
    assert memory.prompt_of.tolist() == [1, 1, 0]
    memory.step = StepLayout(memory.grouping(), torch.zeros(3, dtype=torch.long), 1)
    memory.cache.update(torch.tensor([6.0, 7, 8])[:, None, None, None], torch.ones(3, 1, 1, 1), 0)
    assert memory.own.layers[0][0][:3, 0, 0, 0].tolist() == [6, 7, 8]
    order = memory.leave(torch.tensor([True, True, False]), torch.tensor([1, 1, 1]))
    assert order.tolist() == [0, 1]
    assert memory.prompts.rows == 1
    assert memory.prompts.layers[0][0][0, 0, :, 0].tolist() == [3, 4, 5]
    assert memory.lengths.tolist() == [3]
    assert memory.prompt_of.tolist() == [0, 0]
    assert memory.width == 1


def test_memory_budget():
    """Budget 1,000: prompts of 100 tokens, 64 columns a row: 1 prompt leaves 900 = 14 rows, 8 prompts 200 = 3 rows."""
    memory = Memory(1000, torch.device("cpu"), [None])
    assert memory.fits(1, 14, 100)
    assert not memory.fits(1, 15, 100)
    assert memory.fits(8, 3, 100)
    assert not memory.fits(8, 4, 100)
    capped = Memory(1000, torch.device("cpu"), [None], most_rows=10)
    assert capped.fits(1, 10, 100)
    assert not capped.fits(1, 11, 100)
