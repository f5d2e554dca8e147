"""Conservative DPO: E. Mitchell, "A note on DPO with noisy preferences and relationship to IPO", 2023."""

from torch import Tensor

from mixpo.losses.dpo import dpo


def cdpo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy against labels that are swapped with probability eps, (pairs,) from (pairs,).

    -(1 - eps) log sigmoid(r_c - r_r) - eps log sigmoid(r_r - r_c); least at a margin of log((1 - eps) / eps).
    """
    kept, swapped = dpo(chosen_rewards, rejected_rewards), dpo(rejected_rewards, chosen_rewards)
    return (1 - label_smoothing) * kept + label_smoothing * swapped
