import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.models.attention import NAME, attend, block_mask, mask_for, prepare, segment_ids, visible

PREFIXES = torch.tensor([[3, 2, 3], [1, 2, 0]])


def test_who_sees_whom():
    """[prompt A: 3][A1: 2][A2: 3][prompt B: 1][B1: 2]"""
    prompts, parts = segment_ids(PREFIXES)
    assert prompts.tolist() == [0] * 8 + [1] * 3
    assert parts.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 0, 1, 1]
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


def test_block_mask_equals_the_dense_mask():
    mask = block_mask(PREFIXES, torch.device("cpu"))
    index = torch.arange(11)
    sees = mask.mask_mod(torch.tensor(0), torch.tensor(0), index[:, None], index[None, :])
    assert torch.equal(sees, visible(PREFIXES))
    assert mask.shape[-2:] == (11, 11)


def test_flex_attention_gives_the_same(internvl):
    model = copy.deepcopy(internvl[0]).eval()
    inputs = {
        "input_ids": torch.arange(30, 41)[None],
        "position_ids": torch.tensor([[0, 1, 2, 3, 4, 3, 4, 5, 0, 1, 2]]),
    }
    results = []
    for implementation in ("eager", "sdpa", "flex_attention", NAME):
        model.get_decoder().config._attn_implementation = implementation
        mask = mask_for(model, PREFIXES, torch.float32, torch.device("cpu"))
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
        prepare(model)
        assert model.get_decoder().config._attn_implementation == NAME
        assert torch.equal(model(**inputs).logits, before)
    model.get_decoder().config._attn_implementation = "eager"
    prepare(model)
    assert model.get_decoder().config._attn_implementation == "eager"


def test_short_sliding_windows_are_refused(internvl):
    from mixpo.models.attention import _attention_function

    states = torch.zeros(1, 1, 11, 4)
    with pytest.raises(ValueError, match="sliding window of 4 tokens"):
        _attention_function(torch.nn.Identity(), states, states, states, PREFIXES[:, None, None], sliding_window=4)
