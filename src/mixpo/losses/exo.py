"""Efficient Exact Optimization (EXO), arXiv 2402.00856, equation 16 (EXO-pref, K = 2)."""

import math

import torch.nn.functional as F
from torch import Tensor


def exo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """KL((p, 1 - p) || (1 - eps, eps)) of each pair with p = sigmoid(r_c - r_r), (pairs,) from (pairs,); eps > 0.

    The reverse of DPO's direction: 0 where the policy prefers the chosen completion with probability 1 - eps.
    """
    margins = chosen_rewards - rejected_rewards
    log_p, log_not_p = F.logsigmoid(margins), F.logsigmoid(-margins)
    from_chosen = log_p.exp() * (log_p - math.log1p(-label_smoothing))
    return from_chosen + log_not_p.exp() * (log_not_p - math.log(label_smoothing))
