"""Simple Preference Optimization (SimPO), arXiv 2405.14734, equation 6; it has no reference model."""

import torch.nn.functional as F
from torch import Tensor


def simpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, beta: float, target_margin: float) -> Tensor:
    """-log sigmoid(beta (l_c - l_r) - gamma) of each pair, (pairs,) from (pairs,).

    l is the mean log-probability of the completion's tokens; the paper takes beta 2 to 2.5, and gamma
    (`target_margin`) 0.3 to 1.6.
    """
    return -F.logsigmoid(beta * (chosen_mean_logps - rejected_mean_logps) - target_margin)
