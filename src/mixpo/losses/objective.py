"""Which losses are mixed, with which weights and parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mixpo.losses.bco import bco
from mixpo.losses.dpo import dpo
from mixpo.losses.sft import sft, sft_token_mean
from mixpo.losses.terms import Terms


@dataclass(frozen=True, kw_only=True)
class Objective:
    """L = w_p L_p + w_q L_q + w_g L_g of each pair; the defaults are MPO's (arXiv 2411.10442, section 4.1)."""

    preference: str = "dpo"
    """L_p, the relative preference between the two completions: a key of `PREFERENCE`."""
    quality: str = "bco"
    """L_q, the absolute quality of each completion: a key of `QUALITY`."""
    generation: str = "sft"
    """L_g, how the chosen completion is written: `sft` (per sequence) or `sft_token_mean`."""
    preference_weight: float = 0.8
    """w_p; a term of weight 0 is not computed at all."""
    quality_weight: float = 0.2
    """w_q."""
    generation_weight: float = 1.0
    """w_g."""
    beta: float = 0.1
    """Scale of the rewards, r = beta (log pi - log pi_ref): a higher beta keeps the policy closer to the reference."""

    def __post_init__(self) -> None:
        for name, table in (("preference", PREFERENCE), ("quality", QUALITY), ("generation", GENERATION)):
            if getattr(self, name) not in table:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(table)}")
            weight = getattr(self, f"{name}_weight")
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{name}_weight must be a number of at least 0, not {weight}")
        if not (self.preference_weight or self.quality_weight or self.generation_weight):
            raise ValueError("the weights of preference, quality and generation are all 0: there is nothing to train")
        if not (math.isfinite(self.beta) and self.beta > 0):
            raise ValueError(f"beta must be above 0, not {self.beta}")

    @property
    def needs_rejected(self) -> bool:
        """Whether any term looks at the rejected completion; without, training is SFT on the chosen one."""
        return bool(self.preference_weight or self.quality_weight)

    @property
    def needs_reference(self) -> bool:
        """Whether any term looks at the reference's log-probabilities."""
        return bool(self.preference_weight or self.quality_weight)

    @property
    def needs_mean_length(self) -> bool:
        """Whether `mix` must be given the step's mean chosen length."""
        return bool(self.generation_weight) and self.generation == "sft_token_mean"

    @property
    def first_step_expectation(self) -> float | None:
        """The loss without its generation term where policy and reference are equal, as at the first step.

        0.8 ln 2 + 0.2 (2 ln 2) = 0.832 for the defaults; None when a term looks at the policy alone.
        """
        # These terms see the log-probabilities through their difference to the reference's only: 0 stands for any.
        zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        logps = dict.fromkeys(("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps"), zero)
        terms = Terms(**logps, chosen_lengths=one, rejected_lengths=one)
        expectation = 0.0
        if self.preference_weight:
            expectation += self.preference_weight * PREFERENCE[self.preference](terms, self).item()
        if self.quality_weight:
            expectation += self.quality_weight * QUALITY[self.quality](terms, self, 0.0).item()
        return expectation


PREFERENCE: dict[str, Callable[[Terms, Objective], Tensor]] = {
    "dpo": lambda terms, objective: dpo(*terms.rewards(objective.beta)),
}
"""Name of a preference term -> its value of each pair, (pairs,)."""

QUALITY: dict[str, Callable[[Terms, Objective, float], Tensor]] = {
    "bco": lambda terms, objective, shift: bco(*terms.rewards(objective.beta), shift),
}
"""Name of a quality term -> its value of each pair, (pairs,), given the reward shift."""

GENERATION: dict[str, Callable[[Terms, float], Tensor]] = {
    "sft": lambda terms, _: sft(terms.chosen_logps, terms.chosen_lengths),
    "sft_token_mean": lambda terms, mean_length: sft_token_mean(terms.chosen_logps, mean_length),
}
"""Name of a generation term -> its value of each pair, (pairs,), given the step's mean chosen length."""
