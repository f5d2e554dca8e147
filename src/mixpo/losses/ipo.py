"""Identity Preference Optimization (IPO), arXiv 2310.12036, equation 17."""

from torch import Tensor


def ipo(chosen_logratios: Tensor, rejected_logratios: Tensor, tau: float) -> Tensor:
    """(h_c - h_r - 1/(2 tau))^2 of each pair, (pairs,) from (pairs,), with h = log pi - log pi_ref.

    The equation's h is that of the whole completion: the sum over its tokens (objective `ipo`). TRL
    divides h by the number of tokens and reports that the authors' own results did so too (objective
    `ipo_mean`): tau then has another scale, since 1/(2 tau) is a margin per token.
    """
    return (chosen_logratios - rejected_logratios - 1 / (2 * tau)).square()
