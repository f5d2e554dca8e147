"""Robust DPO (rDPO), arXiv 2403.00409: an unbiased estimate of the DPO loss under swapped labels."""

from torch import Tensor

from mixpo.losses.dpo import dpo


def robust_dpo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """((1 - eps) DPO(c, r) - eps DPO(r, c)) / (1 - 2 eps) of each pair, (pairs,) from (pairs,); eps < 0.5.

    If labels are swapped with probability eps, its expectation is the DPO loss of the true labels.
    """
    kept, swapped = dpo(chosen_rewards, rejected_rewards), dpo(rejected_rewards, chosen_rewards)
    return ((1 - label_smoothing) * kept - label_smoothing * swapped) / (1 - 2 * label_smoothing)
