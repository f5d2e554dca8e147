"""Self-Play Preference Optimization (SPPO), arXiv 2405.00675, equation 4.7, with hard labels."""

from torch import Tensor


def sppo(chosen_logratios: Tensor, rejected_logratios: Tensor, beta: float) -> Tensor:
    """(h_c - 1/(2 beta))^2 + (h_r + 1/(2 beta))^2 of each pair, (pairs,) from (pairs,), with h = log pi - log pi_ref.

    The paper's eta is 1 / beta, and its probability of winning against the policy is taken to be 1 for
    the chosen and 0 for the rejected completion: h should reach +-eta / 2.
    """
    return (chosen_logratios - 0.5 / beta).square() + (rejected_logratios + 0.5 / beta).square()
