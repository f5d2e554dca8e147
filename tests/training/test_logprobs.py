"""completion_logps against the plain formula: log-softmax of all logits at once, differentiated by autograd."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mixpo.training.logprobs import completion_logps

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


def gradients(sums, hidden, head):
    wanted = [hidden, *(parameter for parameter in head.parameters() if parameter.requires_grad)]
    return torch.autograd.grad((sums * torch.tensor([0.3, -1.0, 2.0], dtype=sums.dtype)).sum(), wanted)


def test_by_hand():
    """Logits (0, ln 3) and (ln 3, 0): probabilities 1/4, 3/4 and 3/4, 1/4. Targets 1 and 1: ln 3/4 + ln 1/4 = -1.673976."""
    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    log3 = 1.0986123
    hidden = torch.tensor([[0.0, log3], [log3, 0.0]])
    sums = completion_logps(hidden, torch.tensor([1, 1]), torch.tensor([0, 0]), 1, head)
    torch.testing.assert_close(sums, torch.tensor([-1.673976]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("chunk", [1, 4, 11, 256])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("scale", "softcap"), [(1.0, None), (0.25, None), (1.0, 1.5), (3.0, 2.0)])
def test_values_and_gradients_equal_the_plain_formula(chunk, bias, scale, softcap):
    hidden, targets, segments, head = example(bias=bias)
    wanted = plain(hidden, targets, segments, COUNT, head, scale, softcap)
    sums = completion_logps(
        hidden, targets, segments, COUNT, head, chunk=chunk, logit_scale=scale, logit_softcap=softcap
    )
    torch.testing.assert_close(sums, wanted, atol=1e-12, rtol=1e-12)
    for mine, theirs in zip(gradients(sums, hidden, head), gradients(wanted, hidden, head), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-10)
