import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.models.attention import (
    NAME,
    OWN_FLEX,
    attend,
    flex_attention,
    mask_for,
    prepare,
    row_multiple,
    shared_prefix,
    takes_shared_rows,
)  # fmt: skip
from mixpo.models.prefix_mask import BLOCK, block_mask, visible

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
PREFIXES = torch.tensor([[3, 2, 3], [1, 2, 0]])


def test_who_sees_whom():
    """[prompt A: 3][A1: 2][A2: 3][prompt B: 1][B1: 2]"""
    assert visible(PREFIXES).int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  # prompt A: causal
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],  # A1: the prompt and itself
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0],  # A2: the prompt and itself, not A1
        [1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],  # prompt B
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
    ]


def test_padding_sees_itself_alone():
    padded = visible(PREFIXES, 14)
    assert torch.equal(padded[:11, :11], visible(PREFIXES))
    assert torch.equal(padded[11:], torch.eye(14, dtype=torch.bool)[11:])


def dense(query, key, value, sees, scaling):
    scores = (query @ key.mT * scaling).masked_fill(~sees, float("-inf"))
    return scores.softmax(-1) @ value


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=3
    )
)
def test_parts_equal_the_dense_mask(rows):
    """Output and gradients, float64, for any prompts and completions."""
    prefixes = torch.tensor([[prompt, first, *sorted(others, reverse=True)] for prompt, first, *others in rows])
    tokens = int(prefixes.sum())
    generator = torch.Generator().manual_seed(tokens)
    query, key, value, weight = (
        torch.randn(1, 2, tokens, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(4)
    )
    sees = visible(prefixes)
    results = []
    for output in (attend(query, key, value, prefixes.tolist(), 0.5), dense(query, key, value, sees, 0.5)):
        results.append([output, *torch.autograd.grad((output * weight).sum(), (query, key, value))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


LONG = torch.tensor([[300, 130, 40, 70], [20, 33, 0, 0], [140, 300, 5, 0]])


@pytest.mark.parametrize("prefixes", [PREFIXES, LONG, torch.tensor([[128, 128, 256]]), torch.tensor([[1, 1]])])
def test_block_mask_equals_the_dense_mask(prefixes):
    """Token by token, and in what it says of whole blocks; padding included."""
    tokens = -(-int(prefixes.sum()) // BLOCK) * BLOCK
    mask, sees = block_mask(prefixes, tokens, torch.device("cpu")), visible(prefixes, tokens)
    index = torch.arange(tokens)
    assert torch.equal(mask.mask_mod(torch.tensor(0), torch.tensor(0), index[:, None], index[None, :]), sees)
    assert mask.shape == (1, 1, tokens, tokens)
    assert mask.longest == max(prompt + max(completions) for prompt, *completions in prefixes.tolist())
    blocks = sees.view(tokens // BLOCK, BLOCK, tokens // BLOCK, BLOCK).transpose(1, 2)
    some, whole = blocks.any(3).any(2), blocks.all(3).all(2)
    for count, numbers, expected in (
        (mask.kv_num_blocks, mask.kv_indices, some & ~whole),
        (mask.full_kv_num_blocks, mask.full_kv_indices, whole),
        (mask.q_num_blocks, mask.q_indices, (some & ~whole).T),
        (mask.full_q_num_blocks, mask.full_q_indices, whole.T),
    ):
        found = [sorted(row[:n]) for row, n in zip(numbers[0, 0].tolist(), count[0, 0].tolist(), strict=True)]
        assert found == [row.nonzero().flatten().tolist() for row in expected]


def test_compiled_flex_attention_equals_the_dense_mask():
    """By torch's compiler on a CPU, which has no backward; with padding, and keys of half as many heads."""
    tokens = -(-int(LONG.sum()) // BLOCK) * BLOCK
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, heads, tokens, 16, generator=generator) for heads in (4, 2, 2))
    with torch.no_grad():
        found, _ = flex_attention(torch.nn.Identity(), query, key, value, block_mask(LONG, tokens, CPU))
    keys, values = (one.repeat_interleave(2, dim=1) for one in (key, value))
    expected = dense(query, keys, values, visible(LONG, tokens), 0.25)
    torch.testing.assert_close(found, expected.transpose(1, 2), rtol=1e-4, atol=1e-5)


def test_flex_attention_gives_the_same(internvl):
    model = copy.deepcopy(internvl[0]).eval()
    inputs = {
        "input_ids": torch.arange(30, 41)[None],
        "position_ids": torch.tensor([[0, 1, 2, 3, 4, 3, 4, 5, 0, 1, 2]]),
    }
    results = []
    for implementation in ("eager", "sdpa", "flex_attention", NAME):
        model.get_decoder().config._attn_implementation = implementation
        mask = mask_for(model, PREFIXES, 11, torch.float32, torch.device("cpu"))
        with torch.no_grad():
            results.append(model(**inputs, attention_mask=mask).logits)
    for found in results[1:]:
        torch.testing.assert_close(found, results[0], rtol=1e-4, atol=1e-4)


def test_prepare_leaves_other_rows_and_other_implementations_alone(internvl):
    model = copy.deepcopy(internvl[0]).eval()
    inputs = {
        "input_ids": torch.tensor([[30, 31, 32, 33], [34, 35, 0, 0]]),
        "attention_mask": torch.tensor([[1] * 4, [1, 1, 0, 0]]),
    }
    with torch.no_grad():
        before = model(**inputs).logits
        prepare(model, CPU)
        assert model.get_decoder().config._attn_implementation == NAME
        assert torch.equal(model(**inputs).logits, before)
    model.get_decoder().config._attn_implementation = "eager"
    prepare(model, CPU)
    assert model.get_decoder().config._attn_implementation == "eager"


def test_short_sliding_windows_are_refused(internvl):
    states = torch.zeros(1, 1, 11, 4)
    with pytest.raises(ValueError, match="sliding window of 4 tokens"):
        shared_prefix(torch.nn.Identity(), states, states, states, PREFIXES[:, None, None], sliding_window=4)


def test_attention_is_chosen_for_where_the_model_will_run(internvl):
    """It lies on the CPU while it is prepared for a GPU."""
    model = copy.deepcopy(internvl[0])
    config = model.get_decoder().config
    config.head_dim = 8
    prepare(model, GPU)
    assert (config._attn_implementation, row_multiple(model, GPU)) == (NAME, 1), "too narrow for its kernels"
    config.head_dim = 16
    prepare(model, GPU)
    assert (config._attn_implementation, row_multiple(model, GPU)) == (OWN_FLEX, BLOCK)
    prepare(model, GPU, flex=False)
    assert config._attn_implementation == NAME
    prepare(model, GPU)
    prepare(model, CPU)
    assert (config._attn_implementation, row_multiple(model, CPU)) == (NAME, 1)
    for chosen in ("flex_attention", "eager", "flash_attention_2"):
        config._attn_implementation = chosen
        prepare(model, GPU)
        assert config._attn_implementation == chosen
        assert takes_shared_rows(model) == (chosen != "flash_attention_2")


def test_no_layer_asks_the_mask_for_its_lengths(internvl):
    """A mask that has come to a GPU is waited for at each `tolist`."""
    model = copy.deepcopy(internvl[0])
    prepare(model, CPU)
    mask = mask_for(model, PREFIXES, 11, torch.float32, CPU)
    assert mask.lengths == PREFIXES.tolist()
    states = torch.randn(1, 2, 11, 8)
    plain, _ = shared_prefix(torch.nn.Identity(), states, states, states, mask.clone())
    mask.zero_()
    found, _ = shared_prefix(torch.nn.Identity(), states, states, states, mask)
    assert torch.equal(found, plain)
