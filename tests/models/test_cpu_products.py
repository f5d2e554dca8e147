"""Products by oneDNN: what torch computes, forward and backward, and the ways that are left to torch."""

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from mixpo.models.cpu_products import available, fast_linear, linear_by_onednn, product

needs_avx512 = pytest.mark.skipif(not available(), reason="the processor has no AVX-512: torch's own products are used")


def exact(left, right):
    return left.double() @ right.double()


@needs_avx512
@pytest.mark.parametrize("shape", [(1, 5, 3), (17, 64, 33), (300, 300, 300)])
def test_a_product_is_the_product(shape):
    rows, inner, columns = shape
    torch.manual_seed(0)
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    torch.testing.assert_close(product(left, right).double(), exact(left, right), atol=1e-4, rtol=1e-5)
    # Every layout in memory: transposed, with gaps between rows, and both.
    gaps = torch.randn(rows, 2 * inner)[:, ::2]
    torch.testing.assert_close(product(gaps, right).double(), exact(gaps, right), atol=1e-4, rtol=1e-5)
    turned = torch.randn(columns, inner).t()
    torch.testing.assert_close(product(left, turned).double(), exact(left, turned), atol=1e-4, rtol=1e-5)


def test_two_by_two():
    """[[1, 2], [3, 4]] @ [[5, 6], [7, 8]] = [[19, 22], [43, 50]], on any processor."""
    found = product(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]]))
    assert found.tolist() == [[19.0, 22.0], [43.0, 50.0]]


@needs_avx512
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("width", [24, 320])  # below and above the width from which the weight's gradient is oneDNN's
def test_gradients_are_those_of_linear(bias, width):
    torch.manual_seed(0)
    layer = nn.Linear(width, width + 16, bias=bias).double()
    states = torch.randn(2, 40, width, dtype=torch.float64, requires_grad=True)
    wanted = layer(states)
    pull = torch.randn_like(wanted)
    wanted.backward(pull)
    expected = [states.grad, *(parameter.grad for parameter in layer.parameters())]
    single = nn.Linear(width, width + 16, bias=bias)
    single.load_state_dict({name: value.float() for name, value in layer.state_dict().items()})
    inputs = states.detach().float().requires_grad_()
    found = fast_linear(inputs, single.weight, single.bias)
    assert "_Linear" in type(found.grad_fn).__name__
    # A gradient as attention hands it over: rows with gaps.
    found.backward(pull.float().transpose(0, 1).contiguous().transpose(0, 1))
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)
    for one, other in zip([inputs.grad, *(parameter.grad for parameter in single.parameters())], expected, strict=True):
        torch.testing.assert_close(one.double(), other, atol=1e-4, rtol=1e-5)


@needs_avx512
def test_frozen_weights_and_inputs_get_no_gradient():
    weight, inputs = torch.randn(8, 4), torch.randn(3, 4, requires_grad=True)
    fast_linear(inputs, weight).sum().backward()
    torch.testing.assert_close(inputs.grad, weight.sum(0).expand(3, 4))
    trained = torch.randn(8, 4, requires_grad=True)
    fast_linear(inputs.detach(), trained).sum().backward()
    torch.testing.assert_close(trained.grad, inputs.detach().sum(0).expand(8, 4))
    with torch.no_grad():
        assert not fast_linear(inputs, trained).requires_grad


@pytest.mark.parametrize(
    "given",
    [
        (torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)),
        (torch.randn(3, 4, dtype=torch.bfloat16), torch.randn(5, 4, dtype=torch.bfloat16)),
        (torch.randn(0, 4), torch.randn(5, 4)),
        (torch.randn(4), torch.randn(5, 4)),
    ],
    ids=["float64", "bfloat16", "no rows", "a vector"],
)
def test_everything_else_is_as_torch_does_it(given):
    assert torch.equal(fast_linear(*given), linear(*given))


@needs_avx512
def test_autocast_keeps_its_type():
    with torch.autocast("cpu", torch.bfloat16):
        assert fast_linear(torch.randn(2, 8), torch.randn(8, 8)).dtype == torch.bfloat16


@needs_avx512
def test_the_same_inputs_give_the_same_bits():
    torch.manual_seed(0)
    left, right = torch.randn(129, 257), torch.randn(65, 257)
    first = linear_by_onednn(left, right)
    assert all(torch.equal(first, linear_by_onednn(left, right)) for _ in range(5))
