"""Binary Classifier Optimization, arXiv 2404.04656; the quality term of MPO (arXiv 2411.10442, equations 5 to 7)."""

import torch.nn.functional as F
from torch import Tensor


def bco(chosen_rewards: Tensor, rejected_rewards: Tensor, shift: float) -> Tensor:
    """-log sigmoid(r_c - delta) - log sigmoid(-(r_r - delta)) of each pair, (pairs,) from (pairs,).

    `shift` is delta, the moving average of *previous* rewards (`mixpo.losses.reward_shift`): a
    number, so that no gradient flows through it and it is the same for every micro-batch of a step.
    """
    return -F.logsigmoid(chosen_rewards - shift) - F.logsigmoid(-(rejected_rewards - shift))
