"""Anchored Preference Optimization (APO), arXiv 2408.06266, equations 7 and 8."""

from torch import Tensor


def apo_zero(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-sigmoid(r_c) + sigmoid(r_r) + 1 of each pair, (pairs,) from (pairs,): chosen goes up, rejected down.

    For chosen completions that are better than what the model writes.
    """
    return (-chosen_rewards).sigmoid() + rejected_rewards.sigmoid()


def apo_down(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """sigmoid(r_c) - sigmoid(r_c - r_r) + 1 of each pair, (pairs,) from (pairs,): both go down, rejected faster.

    For chosen completions that are worse than what the model writes.
    """
    return chosen_rewards.sigmoid() + (rejected_rewards - chosen_rewards).sigmoid()
