"""Direct Preference Optimization, arXiv 2305.18290, equation 7.

The preference term of MPO, arXiv 2411.10442, equation 4.
"""

import torch.nn.functional as F
from torch import Tensor


def dpo(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-log sigmoid(r_c - r_r) of each pair, (pairs,) from (pairs,); r = beta (log pi - log pi_ref)."""
    return -F.logsigmoid(chosen_rewards - rejected_rewards)
