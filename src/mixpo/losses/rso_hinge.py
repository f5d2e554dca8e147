"""The hinge-norm loss of Statistical Rejection Sampling Optimization (RSO), arXiv 2309.06657."""

from torch import Tensor


def rso_hinge(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """max(0, 1 - (r_c - r_r)) of each pair, (pairs,) from (pairs,); the paper's gamma is the rewards' beta."""
    return (1 - (chosen_rewards - rejected_rewards)).relu()
