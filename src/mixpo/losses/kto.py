"""Kahneman-Tversky Optimization (KTO), arXiv 2402.01306, section 4.1, for pairs."""

from torch import Tensor


def kto(
    chosen_rewards: Tensor,
    rejected_rewards: Tensor,
    reference_point: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """l_D (1 - sigmoid(r_c - z)) + l_U (1 - sigmoid(z - r_r)) of each pair, (pairs,) from (pairs,).

    The `reference_point` z stands for beta KL(pi || pi_ref), a number without gradient and at least 0.
    The paper estimates it from completions of other prompts, a third forward pass; objective `kto`
    uses the reward shift (mean of previous rewards), not below 0, which costs nothing and is the same
    for every micro-batch and rank. Reward shift `none` makes it 0.
    """
    gain = desirable_weight * (reference_point - chosen_rewards).sigmoid()
    return gain + undesirable_weight * (rejected_rewards - reference_point).sigmoid()
