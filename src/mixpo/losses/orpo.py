"""Odds Ratio Preference Optimization (ORPO), arXiv 2403.07691, equations 4 and 7; it has no reference model."""

import torch.nn.functional as F
from torch import Tensor

SMALLEST = 1e-6
"""Probabilities above 1 - 1e-6 count as that: float32 cannot tell their odds from infinity."""


def orpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor) -> Tensor:
    """-log sigmoid(log odds(y_c) - log odds(y_r)) of each pair, (pairs,) from (pairs,).

    odds(y) = P / (1 - P), where log P is the mean log-probability of the completion's tokens. The
    paper's loss is SFT + lambda times this: generation weight 1, preference weight lambda (0.1).
    """
    return -F.logsigmoid(_log_odds(chosen_mean_logps) - _log_odds(rejected_mean_logps))


def _log_odds(logps: Tensor) -> Tensor:
    bounded = logps.clamp(max=-SMALLEST)
    # 1 - exp(x) by expm1: exact for the x near 0 where the subtraction would cancel.
    return bounded - (-bounded.expm1()).log()
