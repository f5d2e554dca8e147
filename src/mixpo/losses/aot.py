"""Alignment via Optimal Transport (AOT), arXiv 2406.05882, for paired data, with the logistic loss."""

import torch.nn.functional as F
from torch import Tensor


def aot(policy_margins: Tensor, reference_margins: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """Logistic loss of policy against reference margins at equal rank, (pairs,) from (pairs,).

    A margin is log pi(y_c|x) - log pi(y_r|x); sorting both sides solves one-dimensional optimal
    transport, so that the policy's distribution of margins is pushed above the reference's. Row i is
    the i-th smallest margin, not pair i, and the values depend on which pairs are given together.
    """
    policy, _ = policy_margins.sort()
    reference, _ = reference_margins.sort()
    logits = beta * (policy - reference)
    return -(1 - label_smoothing) * F.logsigmoid(logits) - label_smoothing * F.logsigmoid(-logits)
