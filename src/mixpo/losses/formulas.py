"""The losses, a function a paper: the value of each pair, (pairs,), from what the pairs are rated by, (pairs,) each.

A reward is r = beta (log pi - log pi_ref), h is log pi - log pi_ref; c stands for chosen, r for rejected.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 1e-6
"""ORPO's probabilities above 1 - 1e-6 count as that: float32 cannot tell their odds from infinity."""


def dpo(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-log sigmoid(r_c - r_r): Direct Preference Optimization, arXiv 2305.18290, equation 7.

    The preference term of MPO, arXiv 2411.10442, equation 4.
    """
    return -F.logsigmoid(chosen_rewards - rejected_rewards)


def cdpo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """-(1 - eps) log sigmoid(r_c - r_r) - eps log sigmoid(r_r - r_c); least at a margin of log((1 - eps) / eps).

    Conservative DPO, cross-entropy against labels that are swapped with probability eps: E. Mitchell, "A note on DPO
    with noisy preferences and relationship to IPO", 2023.
    """
    kept, swapped = dpo(chosen_rewards, rejected_rewards), dpo(rejected_rewards, chosen_rewards)
    return (1 - label_smoothing) * kept + label_smoothing * swapped


def robust_dpo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """((1 - eps) DPO(c, r) - eps DPO(r, c)) / (1 - 2 eps), eps < 0.5: Robust DPO (rDPO), arXiv 2403.00409.

    If labels are swapped with probability eps, its expectation is the DPO loss of the true labels.
    """
    kept, swapped = dpo(chosen_rewards, rejected_rewards), dpo(rejected_rewards, chosen_rewards)
    return ((1 - label_smoothing) * kept - label_smoothing * swapped) / (1 - 2 * label_smoothing)


def rso_hinge(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """max(0, 1 - (r_c - r_r)): the hinge-norm loss of Statistical Rejection Sampling Optimization, arXiv 2309.06657.

    The paper's gamma is the rewards' beta.
    """
    return (1 - (chosen_rewards - rejected_rewards)).relu()


def ipo(chosen_logratios: Tensor, rejected_logratios: Tensor, tau: float) -> Tensor:
    """(h_c - h_r - 1/(2 tau))^2: Identity Preference Optimization, arXiv 2310.12036, equation 17.

    The equation's h is that of the whole completion: the sum over its tokens (objective `ipo`). TRL
    divides h by the number of tokens and reports that the authors' own results did so too (objective
    `ipo_mean`): tau then has another scale, since 1/(2 tau) is a margin per token.
    """
    return (chosen_logratios - rejected_logratios - 1 / (2 * tau)).square()


def sppo(chosen_logratios: Tensor, rejected_logratios: Tensor, beta: float) -> Tensor:
    """(h_c - 1/(2 beta))^2 + (h_r + 1/(2 beta))^2: Self-Play Preference Optimization, arXiv 2405.00675, equation 4.7.

    The paper's eta is 1 / beta, and its probability of winning against the policy is taken to be 1 for
    the chosen and 0 for the rejected completion (hard labels): h should reach +-eta / 2.
    """
    return (chosen_logratios - 0.5 / beta).square() + (rejected_logratios + 0.5 / beta).square()


def aot(policy_margins: Tensor, reference_margins: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """Logistic loss of policy against reference margins at equal rank: Alignment via Optimal Transport for paired
    data, arXiv 2406.05882.

    A margin is log pi(y_c|x) - log pi(y_r|x); sorting both sides solves one-dimensional optimal
    transport, so that the policy's distribution of margins is pushed above the reference's. Row i is
    the i-th smallest margin, not pair i, and the values depend on which pairs are given together.
    """
    policy, _ = policy_margins.sort()
    reference, _ = reference_margins.sort()
    logits = beta * (policy - reference)
    return -(1 - label_smoothing) * F.logsigmoid(logits) - label_smoothing * F.logsigmoid(-logits)


def orpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor) -> Tensor:
    """-log sigmoid(log odds(y_c) - log odds(y_r)): Odds Ratio Preference Optimization, arXiv 2403.07691, equations 4
    and 7; it has no reference model.

    odds(y) = P / (1 - P), where log P is the mean log-probability of the completion's tokens. The
    paper's loss is SFT + lambda times this: generation weight 1, preference weight lambda (0.1).
    """
    return -F.logsigmoid(_log_odds(chosen_mean_logps) - _log_odds(rejected_mean_logps))


def _log_odds(logps: Tensor) -> Tensor:
    bounded = logps.clamp(max=-SMALLEST)
    # 1 - exp(x) by expm1: exact for the x near 0 where the subtraction would cancel.
    return bounded - (-bounded.expm1()).log()


def simpo(chosen_mean_logps: Tensor, rejected_mean_logps: Tensor, beta: float, target_margin: float) -> Tensor:
    """-log sigmoid(beta (l_c - l_r) - gamma): Simple Preference Optimization, arXiv 2405.14734, equation 6; it has no
    reference model.

    l is the mean log-probability of the completion's tokens; the paper takes beta 2 to 2.5, and gamma
    (`target_margin`) 0.3 to 1.6.
    """
    return -F.logsigmoid(beta * (chosen_mean_logps - rejected_mean_logps) - target_margin)


def nca(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-log sigmoid(r_c) - 1/2 log sigmoid(-r_c) - 1/2 log sigmoid(-r_r): Noise Contrastive Alignment for preference
    pairs (K = 2), arXiv 2402.05369."""
    noise = F.logsigmoid(-chosen_rewards) + F.logsigmoid(-rejected_rewards)
    return -F.logsigmoid(chosen_rewards) - 0.5 * noise


def apo_zero(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """-sigmoid(r_c) + sigmoid(r_r) + 1: Anchored Preference Optimization, arXiv 2408.06266, equation 7.

    Chosen goes up, rejected down: for chosen completions that are better than what the model writes.
    """
    return (-chosen_rewards).sigmoid() + rejected_rewards.sigmoid()


def apo_down(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """sigmoid(r_c) - sigmoid(r_c - r_r) + 1: Anchored Preference Optimization, arXiv 2408.06266, equation 8.

    Both go down, rejected faster: for chosen completions that are worse than what the model writes.
    """
    return chosen_rewards.sigmoid() + (rejected_rewards - chosen_rewards).sigmoid()


def exo(chosen_rewards: Tensor, rejected_rewards: Tensor, label_smoothing: float) -> Tensor:
    """KL((p, 1 - p) || (1 - eps, eps)) with p = sigmoid(r_c - r_r), eps > 0: Efficient Exact Optimization, arXiv
    2402.00856, equation 16 (EXO-pref, K = 2).

    The reverse of DPO's direction: 0 where the policy prefers the chosen completion with probability 1 - eps.
    """
    margins = chosen_rewards - rejected_rewards
    log_p, log_not_p = F.logsigmoid(margins), F.logsigmoid(-margins)
    from_chosen = log_p.exp() * (log_p - math.log1p(-label_smoothing))
    return from_chosen + log_not_p.exp() * (log_not_p - math.log(label_smoothing))


def bco(chosen_rewards: Tensor, rejected_rewards: Tensor, shift: float) -> Tensor:
    """-log sigmoid(r_c - delta) - log sigmoid(-(r_r - delta)): Binary Classifier Optimization, arXiv 2404.04656.

    The quality term of MPO (arXiv 2411.10442, equations 5 to 7). `shift` is delta, the moving average of
    *previous* rewards (`mixpo.losses.reward_shift`): a number, so that no gradient flows through it and it is the
    same for every micro-batch of a step.
    """
    return -F.logsigmoid(chosen_rewards - shift) - F.logsigmoid(-(rejected_rewards - shift))


def kto(
    chosen_rewards: Tensor,
    rejected_rewards: Tensor,
    reference_point: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """l_D (1 - sigmoid(r_c - z)) + l_U (1 - sigmoid(z - r_r)): Kahneman-Tversky Optimization, arXiv 2402.01306,
    section 4.1, for pairs.

    The `reference_point` z stands for beta KL(pi || pi_ref), a number without gradient and at least 0.
    The paper estimates it from completions of other prompts, a third forward pass; objective `kto`
    uses the reward shift (mean of previous rewards), not below 0, which costs nothing and is the same
    for every micro-batch and rank. Reward shift `none` makes it 0.
    """
    gain = desirable_weight * (reference_point - chosen_rewards).sigmoid()
    return gain + undesirable_weight * (rejected_rewards - reference_point).sigmoid()


def sft(chosen_logps: Tensor, chosen_lengths: Tensor) -> Tensor:
    """-log pi(y_c|x) / |y_c|: the generation term of MPO (arXiv 2411.10442, equation 8).

    Every completion weighs the same, however long.
    """
    return -chosen_logps / chosen_lengths


def sft_token_mean(chosen_logps: Tensor, mean_length: float) -> Tensor:
    """-log pi(y_c|x) / mean |y_c|: every token weighs the same.

    `mean_length` is the mean of |y_c| over the pairs of the whole optimizer step; the mean of these
    values over the same pairs is then the token mean, sum(-log pi) / sum(|y_c|).
    """
    return -chosen_logps / mean_length


@torch.no_grad()
def blend(reference: Iterable[Tensor], policy: Iterable[Tensor], alpha: float) -> None:
    """reference <- alpha policy + (1 - alpha) reference, parameter by parameter, in place: the moving reference of
    Trust Region DPO, arXiv 2404.09656; the loss itself stays DPO's.

    The paper's soft update blends with alpha below 1 (0.5 to 0.6), its hard update replaces the
    reference (alpha 1) every few hundred steps. Log-probabilities of the reference from before are
    out of date then. Raises ValueError when the two do not have the same parameters.
    """
    for old, new in zip(reference, policy, strict=True):
        if old.shape != new.shape:
            raise ValueError(f"reference and policy differ: parameters of {tuple(old.shape)} and {tuple(new.shape)}")
        old.lerp_(new.to(old), alpha)
