"""Mixed Preference Optimization, arXiv 2411.10442, equation 3: a weighted sum of three losses."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mixpo.losses.objective import GENERATION, PREFERENCE, QUALITY, Objective
from mixpo.losses.terms import Terms

__all__ = ["Mixed", "Objective", "Terms", "mix"]


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Loss of each pair and what it is made of, each (pairs,). Only `total` carries a gradient."""

    total: Tensor
    """w_p L_p + w_q L_q + w_g L_g; its mean over the pairs of the whole optimizer step is the loss."""
    preference: Tensor | None
    """L_p without its weight; None when the weight is 0, as for the other two."""
    quality: Tensor | None
    generation: Tensor | None
    chosen_rewards: Tensor | None
    """beta (log pi - log pi_ref); None without rejected or reference log-probabilities."""
    rejected_rewards: Tensor | None


def mix(terms: Terms, objective: Objective, *, shift: float = 0.0, mean_length: float | None = None) -> Mixed:
    """The objective's value for each pair, not reduced: the caller averages over the pairs of the whole optimizer step.

    `shift` is the reward shift (`RewardShift.value`), `mean_length` the mean number of tokens of the
    step's chosen completions, needed when `objective.needs_mean_length`.
    """
    assert terms.chosen_logps.dtype in (torch.float32, torch.float64), "log-probabilities lose whole nats in 16 bits"
    preference = quality = generation = None
    if objective.preference_weight:
        preference = PREFERENCE[objective.preference](terms, objective)
    if objective.quality_weight:
        quality = QUALITY[objective.quality](terms, objective, shift)
    if objective.generation_weight:
        assert mean_length is not None or not objective.needs_mean_length, "the objective needs mean_length"
        generation = GENERATION[objective.generation](terms, mean_length or 0.0)
    weights = (objective.preference_weight, objective.quality_weight, objective.generation_weight)
    parts = (preference, quality, generation)
    weighted = [weight * part for weight, part in zip(weights, parts, strict=True) if part is not None]
    chosen_rewards, rejected_rewards = terms.rewards(objective.beta) if terms.has_logratios else (None, None)
    return Mixed(
        total=torch.stack(weighted).sum(dim=0),
        preference=_detached(preference),
        quality=_detached(quality),
        generation=_detached(generation),
        chosen_rewards=_detached(chosen_rewards),
        rejected_rewards=_detached(rejected_rewards),
    )


def _detached(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.detach()
