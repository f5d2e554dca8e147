"""completion_logps against the plain formula: log-softmax of all logits at once, differentiated by autograd."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from mixpo.models import logprobs
from mixpo.models.head import Head
from mixpo.models.logprobs import completion_logps

N, D, V, COUNT = 11, 6, 17, 3


def plain(hidden, targets, segments, count, head, scale=1.0, softcap=None):
    logits = head(hidden) * scale
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    logps = logits.log_softmax(-1)[torch.arange(len(targets)), targets]
    return torch.stack([logps[segments == number].sum() for number in range(count)])


def example(dtype=torch.float64, *, bias=True, seed=0, n=N, d=D, v=V):
    """Hidden states of 11 tokens in 3 segments of mixed order; the head's weights are large enough to saturate some."""
    torch.manual_seed(seed)
    hidden = torch.randn(n, d, dtype=dtype, requires_grad=True)
    head = nn.Linear(d, v, bias=bias, dtype=dtype)
    targets = torch.randint(v, (n,))
    segments = torch.randint(COUNT, (n,))
    return hidden, targets, segments, head


def in_chunks(hidden, targets, segments, count, head):
    return completion_logps(hidden, targets, segments, count, Head(head))


def gradients(sums, hidden, head):
    wanted = [hidden, *(parameter for parameter in head.parameters() if parameter.requires_grad)]
    return torch.autograd.grad((sums * torch.tensor([0.3, -1.0, 2.0], dtype=sums.dtype)).sum(), wanted)


def test_by_hand():
    """Logits (0, ln 3) and (ln 3, 0), both targets 1: probabilities 3/4 and 1/4, ln 3/4 + ln 1/4 = -1.673976."""
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    log3 = 1.0986123
    hidden = torch.tensor([[0.0, log3], [log3, 0.0]])
    sums = completion_logps(hidden, torch.tensor([1, 1]), torch.tensor([0, 0]), 1, Head(head))
    torch.testing.assert_close(sums, torch.tensor([-1.673976]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [1, 4, 11, 256])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("scale", "softcap"), [(1.0, None), (0.25, None), (1.0, 1.5), (3.0, 2.0)])
def test_values_and_gradients_equal_the_plain_formula(chunk, bias, scale, softcap):
    hidden, targets, segments, head = example(bias=bias)
    wanted = plain(hidden, targets, segments, COUNT, head, scale, softcap)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(head, scale, softcap), chunk)
    torch.testing.assert_close(sums, wanted, atol=1e-12, rtol=1e-12)
    for mine, theirs in zip(gradients(sums, hidden, head), gradients(wanted, hidden, head), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)


def test_gradcheck():
    """Numerical derivatives in float64 for hidden states, weight and bias, through scale and softcap."""
    hidden, targets, _, head = example(n=5, d=3, v=4)
    settings = logprobs._Settings(operands=torch.float64, chunk=2, scale=1.3, softcap=2.0, grad_enabled=True)

    def logps(*inputs):
        return logprobs._ChunkedLogps.apply(*inputs, targets, settings)

    assert torch.autograd.gradcheck(logps, (hidden, head.weight, head.bias))
    assert torch.autograd.gradcheck(logps, (hidden, head.weight.detach(), head.bias.detach()))


@pytest.mark.parametrize("trained", ["hidden", "weight", "bias", "hidden and weight", "weight and bias", "nothing"])
def test_any_part_may_be_frozen(trained):
    """A frozen head takes the shorter way (gradient prepared in the forward pass): it must give the same."""
    hidden, targets, segments, head = example(seed=1)
    parts = {"hidden": hidden, "weight": head.weight, "bias": head.bias}
    for name, part in parts.items():
        part.requires_grad_(name in trained)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(head, 0.7, 2.0), chunk=4)
    wanted = plain(hidden, targets, segments, COUNT, head, 0.7, 2.0)
    torch.testing.assert_close(sums, wanted)
    assert sums.requires_grad == wanted.requires_grad == (trained != "nothing")
    for name, part in parts.items():
        if name in trained:
            (mine,) = torch.autograd.grad(sums[0] - 2 * sums[2], part, retain_graph=True)
            (theirs,) = torch.autograd.grad(wanted[0] - 2 * wanted[2], part, retain_graph=True)
            torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("chunk", [4, 256])
@pytest.mark.parametrize("frozen", [False, True])
def test_backward_twice_gives_the_same(chunk, frozen):
    """Nothing that is kept from the forward pass (a single chunk, the early gradient) is written over."""
    hidden, targets, segments, head = example(seed=10)
    head.requires_grad_(not frozen)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(head, softcap=2.0), chunk)
    wanted = [hidden, *head.parameters()] if not frozen else [hidden]
    first, second = (torch.autograd.grad(sums.sum(), wanted, retain_graph=True) for _ in range(2))
    for once, again in zip(first, second, strict=True):
        assert torch.equal(once, again)


def test_float32_against_float64():
    """3,000 tokens over a vocabulary of 1,000: sums near -7,000 to 1e-6 relative, gradients to 1e-5 of the largest."""
    exact_inputs = example(seed=2, n=3000, d=32, v=1000)
    hidden, targets, segments, head = exact_inputs
    exact = plain(hidden, targets, segments, COUNT, head)
    single_hidden = hidden.detach().float().requires_grad_()
    single_head = nn.Linear(32, 1000)
    single_head.load_state_dict({name: value.float() for name, value in head.state_dict().items()})
    sums = completion_logps(single_hidden, targets, segments, COUNT, Head(single_head))
    assert sums.dtype == torch.float32
    torch.testing.assert_close(sums.double(), exact, atol=0, rtol=1e-6)
    for mine, theirs in zip(gradients(sums, single_hidden, single_head), gradients(exact, hidden, head), strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=1e-5 * theirs.abs().max().item(), rtol=0)


@pytest.mark.parametrize("rows", [8192, 7])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_inputs_lose_nothing_after_the_weights(dtype, rows, monkeypatch):
    """Against float64 on the very same 16-bit numbers: only the inputs are rounded, neither logits nor sums."""
    monkeypatch.setattr(logprobs, "ROWS", rows)
    hidden, targets, segments, head = example(torch.float32, seed=3, n=200, d=32, v=100)
    hidden = hidden.detach().to(dtype).requires_grad_()
    head.to(dtype)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(head), chunk=64)
    exact_hidden, exact_head = hidden.detach().double().requires_grad_(), nn.Linear(32, 100).double()
    exact_head.load_state_dict({name: value.double() for name, value in head.state_dict().items()})
    exact = plain(exact_hidden, targets, segments, COUNT, exact_head)
    torch.testing.assert_close(sums.double(), exact, atol=0, rtol=1e-6)
    naive = plain(hidden, targets, segments, COUNT, head)
    assert (naive.double() - exact).abs().max() > 100 * (sums.double() - exact).abs().max()
    mine, theirs = gradients(sums, hidden, head), gradients(exact, exact_hidden, exact_head)
    assert [gradient.dtype for gradient in mine] == [dtype] * 3
    # Each gradient is rounded to 16 bits once, at the end.
    for got, want in zip(mine, theirs, strict=True):
        torch.testing.assert_close(got.double(), want, atol=1e-4, rtol=torch.finfo(dtype).eps)


def test_under_autocast_operands_are_rounded_and_nothing_else():
    hidden, targets, segments, head = example(torch.float32, seed=4, n=50, d=16, v=40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sums = completion_logps(hidden, targets, segments, COUNT, Head(head), chunk=16)
    rounded = nn.Linear(16, 40)
    rounded.load_state_dict({"weight": head.weight.bfloat16().float(), "bias": head.bias})
    wanted_hidden = hidden.detach().bfloat16().float().requires_grad_()
    wanted = plain(wanted_hidden, targets, segments, COUNT, rounded)
    torch.testing.assert_close(sums, wanted, atol=0, rtol=1e-6)
    mine, theirs = gradients(sums, hidden, head), gradients(wanted, wanted_hidden, rounded)
    assert {gradient.dtype for gradient in mine} == {torch.float32}
    for got, want in zip(mine, theirs, strict=True):
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


def test_tied_weights_get_both_gradients():
    """The head's weight is the embedding's: its gradient is the sum of what comes through either."""
    tokens, targets, segments = torch.randint(V, (N,)), torch.randint(V, (N,)), torch.randint(COUNT, (N,))
    weight = torch.randn(V, D, dtype=torch.float64)
    found = []
    for formula in (in_chunks, plain):
        embedding = nn.Embedding.from_pretrained(weight.clone(), freeze=False)
        head = nn.Linear(D, V, bias=False, dtype=torch.float64)
        head.weight = embedding.weight
        formula(embedding(tokens).tanh(), targets, segments, COUNT, head).sum().backward()
        found.append(embedding.weight.grad)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("reentrant", [True, False])
def test_with_gradient_checkpointing_of_the_body(reentrant):
    body = nn.Linear(D, D, dtype=torch.float64)
    hidden, targets, segments, head = example(seed=5)
    found = []
    for formula, call in (
        (in_chunks, lambda *args: checkpoint(*args, use_reentrant=reentrant)),
        (plain, lambda run, states: run(states)),
    ):
        body.zero_grad()
        formula(call(lambda states: body(states).tanh(), hidden), targets, segments, COUNT, head).sum().backward()
        found.append(body.weight.grad.clone())
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("lora", [False, True])
def test_without_gradients(mode, lora):
    hidden, targets, segments, head = example(seed=6)
    wanted = plain(hidden, targets, segments, COUNT, head)
    with mode():
        sums = completion_logps(hidden, targets, segments, COUNT, Head(nn.Sequential(head) if lora else head), chunk=4)
    torch.testing.assert_close(sums, wanted.detach())
    assert not sums.requires_grad


def test_segments_without_tokens_are_zero():
    hidden, targets, _, head = example(seed=7)
    sums = completion_logps(hidden, targets, torch.full((N,), 2), 4, Head(head))
    assert sums.tolist()[:2] == [0.0, 0.0]
    assert sums[3] == 0.0
    assert sums[2] < 0


@pytest.mark.parametrize("wrapped", [False, True])
def test_no_tokens_at_all(wrapped):
    """A rank without completion tokens still gets zero gradients for the head, so that no other rank waits for it."""
    hidden, targets, segments, head = example(n=0)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(nn.Sequential(head) if wrapped else head))
    assert sums.tolist() == [0.0] * COUNT
    sums.sum().backward()
    assert torch.equal(head.weight.grad, torch.zeros_like(head.weight))


# -- heads that must be called ---------------------------------------------------------------------------------------


class Scaled(nn.Linear):
    """A linear layer that does more than its class says."""

    def forward(self, states):
        return super().forward(states) * 0.5


def hooked(head):
    head.register_forward_hook(lambda _module, _args, output: output * 0.5)
    return head


def replaced(head):
    forward = head.forward
    head.forward = lambda states: forward(states) * 0.5
    return head


def scaled(head):
    other = Scaled(D, V, dtype=torch.float64)
    other.load_state_dict(head.state_dict())
    return other


@pytest.mark.parametrize("wrap", [hooked, replaced, scaled])
@pytest.mark.parametrize("chunk", [3, 256])
def test_any_other_head_is_called(wrap, chunk):
    hidden, targets, segments, head = example(seed=8)
    head = wrap(head)
    sums = completion_logps(hidden, targets, segments, COUNT, Head(head, 2.0, 3.0), chunk)
    wanted = plain(hidden, targets, segments, COUNT, head, 2.0, 3.0)
    torch.testing.assert_close(sums, wanted)
    for mine, theirs in zip(gradients(sums, hidden, head), gradients(wanted, hidden, head), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)


def test_forward_put_back_is_plain_again():
    """Who replaces `head.forward` for a while and puts the bound method back leaves an ordinary linear layer."""
    _, _, _, head = example()
    head.forward = head.forward
    assert logprobs._is_plain(head)
    assert not logprobs._is_plain(replaced(head))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_lora_on_the_head(dropout):
    """peft's LoRA layer trains as it would without chunks; its dropout falls on the same elements when recomputed."""
    peft = pytest.importorskip("peft", reason="peft is not installed: pip install 'mixpo[peft]'")
    hidden, targets, segments, head = example(seed=9)
    config = peft.LoraConfig(r=2, lora_alpha=4, lora_dropout=dropout, target_modules=["head"], init_lora_weights=False)
    model = peft.get_peft_model(nn.ModuleDict({"head": head}), config)
    adapted = model.base_model.model["head"].double().train()
    names = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert len(names) == 2
    found = []
    for formula in (in_chunks, plain):
        torch.manual_seed(0)
        sums = formula(hidden, targets, segments, COUNT, adapted)
        found.append((sums, *gradients(sums, hidden, adapted)))
    assert len(found[0]) == 4
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)


# -- memory --------------------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """The largest number of elements of any tensor made by any operation."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_no_tensor_is_larger_than_a_chunk_of_logits(frozen, wrapped):
    """500 tokens over a vocabulary of 400 with 8 features: all logits are 200,000 elements, a chunk of 20 is 8,000.

    What is kept for the backward pass is a few numbers a token, never logits.
    """
    hidden, targets, segments, head = example(torch.float32, n=500, d=8, v=400)
    head.requires_grad_(not frozen)
    saved = []
    with (
        Largest() as largest,
        torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.numel()) or tensor, lambda x: x),
    ):
        module = nn.Sequential(head) if wrapped else head
        sums = completion_logps(hidden, targets, segments, COUNT, Head(module), chunk=20)
        sums.sum().backward()
    assert largest.elements == 20 * 400
    if not wrapped:
        assert max(saved) <= max(hidden.numel(), head.weight.numel())
