"""Negative log-likelihood of the chosen completion; the generation term of MPO (arXiv 2411.10442, equation 8)."""

from torch import Tensor


def sft(chosen_logps: Tensor, chosen_lengths: Tensor) -> Tensor:
    """-log pi(y_c|x) / |y_c| of each pair, (pairs,) from (pairs,): every completion weighs the same, however long."""
    return -chosen_logps / chosen_lengths


def sft_token_mean(chosen_logps: Tensor, mean_length: float) -> Tensor:
    """-log pi(y_c|x) / mean |y_c| of each pair, (pairs,) from (pairs,): every token weighs the same.

    `mean_length` is the mean of |y_c| over the pairs of the whole optimizer step; the mean of these
    values over the same pairs is then the token mean, sum(-log pi) / sum(|y_c|).
    """
    return -chosen_logps / mean_length
