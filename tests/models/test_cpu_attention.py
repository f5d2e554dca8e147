"""Attention out of oneDNN's products beside torch's own, in float64."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from mixpo.models.cpu_attention import BLOCK, KEYS, fast_attention
from mixpo.models.cpu_products import available

needs_avx512 = pytest.mark.skipif(not available(), reason="the processor has no AVX-512: torch's own attention is used")
LONG = KEYS + 70


def heads(rows, keys, dtype=torch.float32, width=32, strided=False):
    """Query, key, value of 2 sequences and 3 heads; `strided` as models give them, (B, T, heads, width) turned."""
    torch.manual_seed(0)
    made = []
    for length in (rows, keys, keys):
        if strided:
            made.append(torch.randn(2, length, 3, width).transpose(1, 2))
        else:
            made.append(torch.randn(2, 3, length, width))
    return [tensor.to(dtype).detach().requires_grad_() for tensor in made]


def seen(rows, keys, causal):
    """(rows, keys): row i sees the first keys - rows + i + 1 keys when causal."""
    return torch.ones(rows, keys, dtype=torch.bool).tril(keys - rows) if causal else None


CASES = {
    "full": (LONG, LONG, False, 0.2),
    "full, fewer rows": (17, LONG, False, 0.2),
    "causal": (LONG, LONG, True, 0.2),
    "behind a prompt": (BLOCK + 5, LONG, True, 0.3),
    "one row": (1, LONG, True, 0.2),
}


@needs_avx512
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_torch(case, strided):
    rows, keys, causal, scale = CASES[case]
    single = heads(rows, keys, strided=strided)
    double = [tensor.detach().double().requires_grad_() for tensor in single]
    wanted = scaled_dot_product_attention(*double, attn_mask=seen(rows, keys, causal), scale=scale)
    pull = torch.randn(wanted.shape)
    wanted.backward(pull.double())
    found = fast_attention(*single, causal, scale)
    assert "_Attention" in type(found.grad_fn).__name__
    found.backward(pull)
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    for one, other in zip(single, double, strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(fast_attention(*single, causal, scale), found.detach())


@needs_avx512
def test_a_row_does_not_see_what_comes_after_it():
    query, key, value = (tensor.detach() for tensor in heads(LONG, LONG))
    before = fast_attention(query, key, value, True, 0.2)
    key[:, :, 300:], value[:, :, 300:] = 7.0, -7.0
    after = fast_attention(query, key, value, True, 0.2)
    torch.testing.assert_close(before[:, :, :300], after[:, :, :300], atol=0, rtol=0)
    assert not torch.equal(before[:, :, 300:], after[:, :, 300:])


def left_to_torch():
    query, key, value = heads(LONG, LONG)
    yield "float64", [tensor.double() for tensor in (query, key, value)]
    yield "short", heads(9, 9)
    yield "narrow", heads(LONG, LONG, width=16)
    yield "grouped", (query, key[:, :1], value[:, :1])
    yield "more rows than keys", (query, key[:, :, 2:], value[:, :, 2:])


@pytest.mark.parametrize("tensors", [case[1] for case in left_to_torch()], ids=[case[0] for case in left_to_torch()])
def test_everything_else_is_left_to_torch(tensors):
    assert fast_attention(*tensors, True, 0.2) is None
