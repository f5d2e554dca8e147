"""Noise Contrastive Alignment (NCA), arXiv 2402.05369, for preference pairs (K = 2)."""

import torch.nn.functional as F
from torch import Tensor


def nca(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-log sigmoid(r_c) - 1/2 log sigmoid(-r_c) - 1/2 log sigmoid(-r_r) of each pair, (pairs,) from (pairs,)."""
    noise = F.logsigmoid(-chosen_rewards) + F.logsigmoid(-rejected_rewards)
    return -F.logsigmoid(chosen_rewards) - 0.5 * noise
