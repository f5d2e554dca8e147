"""Which losses are mixed, with which weights and parameters."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mixpo.losses import formulas
from mixpo.losses.reward_shift import RewardShift
from mixpo.losses.terms import Terms


@dataclass(kw_only=True)
class Objective:
    """L = w_p L_p + w_q L_q + w_g L_g of each pair; the defaults are MPO's (arXiv 2411.10442, section 4.1).

    The one declaration of these fields: a recipe's `train: {objective: …}` is an Objective, and `MPOConfig` inherits it
    (so it cannot be frozen: TrainingArguments is not).
    """

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
    preference_beta: float | None = None
    """The preference term's own scale where its paper has another (SimPO 2, IPO's tau); null: beta."""
    label_smoothing: float = 0.0
    """Probability that a pair's labels are swapped: cdpo, robust_dpo, aot, exo (which needs it above 0: 1e-3)."""
    target_margin: float = 0.5
    """SimPO's gamma."""
    desirable_weight: float = 1.0
    """KTO's lambda_D, the weight of the chosen completion."""
    undesirable_weight: float = 1.0
    """KTO's lambda_U, the weight of the rejected completion."""
    reward_shift: str = "mean"
    """BCO's and KTO's delta, made of the rewards of previous steps: mean, ema or none."""
    reward_shift_decay: float = 0.9
    """Of the ema."""

    def __post_init__(self) -> None:
        for name, table in (("preference", PREFERENCE), ("quality", QUALITY), ("generation", GENERATION)):
            if getattr(self, name) not in table:
                raise ValueError(f"{name} {getattr(self, name)!r} is none of {', '.join(table)}")
            weight = getattr(self, f"{name}_weight")
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{name}_weight must be a number of at least 0, not {weight}")
        if not (self.preference_weight or self.quality_weight or self.generation_weight):
            raise ValueError("the weights of preference, quality and generation are all 0: there is nothing to train")
        for name, value in (("beta", self.beta), ("preference_beta", self.beta_p)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be above 0, not {value}")
        for name in ("target_margin", "desirable_weight", "undesirable_weight"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, not {value}")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing must be at least 0 and below 0.5, not {self.label_smoothing}")
        if self.label_smoothing and self.preference not in SMOOTHED:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} does nothing to preference {self.preference!r}; say which is "
                f"meant ({', '.join(sorted(SMOOTHED))}; what older versions of TRL make of 'sigmoid' is cdpo)"
            )
        if self.preference_weight and self.preference == "exo" and self.label_smoothing == 0:
            raise ValueError("preference exo needs label_smoothing above 0, for example 1e-3: it takes its logarithm")
        RewardShift(self.reward_shift, self.reward_shift_decay)

    @property
    def beta_p(self) -> float:
        """The preference term's beta."""
        return self.beta if self.preference_beta is None else self.preference_beta

    @property
    def needs_rejected(self) -> bool:
        """Whether any term looks at the rejected completion; without, training is SFT on the chosen one."""
        return bool(self.preference_weight or self.quality_weight)

    @property
    def needs_reference(self) -> bool:
        """Whether any term looks at the reference's log-probabilities."""
        return bool(self.quality_weight or (self.preference_weight and self.preference not in REFERENCE_FREE))

    @property
    def couples_pairs(self) -> bool:
        """Whether a pair's loss depends on the pairs it is computed with, and so on the split into micro-batches."""
        return bool(self.preference_weight) and self.preference in COUPLING

    @property
    def needs_mean_length(self) -> bool:
        """Whether `mix` must be given the step's mean chosen length."""
        return bool(self.generation_weight) and self.generation == "sft_token_mean"

    @property
    def first_step_expectation(self) -> float | None:
        """The loss without its generation term where policy and reference are equal, as at the first step.

        0.8 ln 2 + 0.2 (2 ln 2) = 0.832 for the defaults; None when a term looks at the policy alone.
        """
        if self.preference_weight and self.preference in REFERENCE_FREE:
            return None
        # The other terms see the log-probabilities through their difference to the reference's only: 0 stands for any.
        zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        logps = dict.fromkeys(("chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps"), zero)
        terms = Terms(**logps, chosen_lengths=one, rejected_lengths=one)
        expectation = 0.0
        if self.preference_weight:
            expectation += self.preference_weight * PREFERENCE[self.preference](terms, self).item()
        if self.quality_weight:
            expectation += self.quality_weight * QUALITY[self.quality](terms, self, 0.0).item()
        return expectation

    def expected_first_loss(self, generation: float) -> dict[str, float]:
        """`first_step_expectation` with the generation term's value, to be logged; empty where it is not known."""
        expected = self.first_step_expectation
        return {} if expected is None else {"expected_first_loss": expected + self.generation_weight * generation}


PREFERENCE: dict[str, Callable[[Terms, Objective], Tensor]] = {
    "dpo": lambda terms, o: formulas.dpo(*terms.rewards(o.beta_p)),
    "rso_hinge": lambda terms, o: formulas.rso_hinge(*terms.rewards(o.beta_p)),
    "ipo": lambda terms, o: formulas.ipo(*terms.logratios, o.beta_p),
    "ipo_mean": lambda terms, o: formulas.ipo(*terms.mean_logratios, o.beta_p),
    "cdpo": lambda terms, o: formulas.cdpo(*terms.rewards(o.beta_p), o.label_smoothing),
    "robust_dpo": lambda terms, o: formulas.robust_dpo(*terms.rewards(o.beta_p), o.label_smoothing),
    "sppo": lambda terms, o: formulas.sppo(*terms.logratios, o.beta_p),
    "aot": lambda terms, o: formulas.aot(*terms.margins, o.beta_p, o.label_smoothing),
    "orpo": lambda terms, _: formulas.orpo(*terms.mean_logps),
    "nca": lambda terms, o: formulas.nca(*terms.rewards(o.beta_p)),
    "apo_zero": lambda terms, o: formulas.apo_zero(*terms.rewards(o.beta_p)),
    "apo_down": lambda terms, o: formulas.apo_down(*terms.rewards(o.beta_p)),
    "exo": lambda terms, o: formulas.exo(*terms.rewards(o.beta_p), o.label_smoothing),
    "simpo": lambda terms, o: formulas.simpo(*terms.mean_logps, o.beta_p, o.target_margin),
}
"""Name of a preference term -> its value of each pair, (pairs,)."""

REFERENCE_FREE = frozenset({"orpo", "simpo"})
COUPLING = frozenset({"aot"})
SMOOTHED = frozenset({"aot", "cdpo", "exo", "robust_dpo"})
"""Those that look at `label_smoothing`."""

QUALITY: dict[str, Callable[[Terms, Objective, float], Tensor]] = {
    "bco": lambda terms, o, shift: formulas.bco(*terms.rewards(o.beta), shift),
    "kto": lambda terms, o, shift: formulas.kto(
        *terms.rewards(o.beta), max(0.0, shift), o.desirable_weight, o.undesirable_weight
    ),
}
"""Name of a quality term -> its value of each pair, (pairs,), given the reward shift."""

GENERATION: dict[str, Callable[[Terms, float], Tensor]] = {
    "sft": lambda terms, _: formulas.sft(terms.chosen_logps, terms.chosen_lengths),
    "sft_token_mean": lambda terms, mean_length: formulas.sft_token_mean(terms.chosen_logps, mean_length),
}
"""Name of a generation term -> its value of each pair, (pairs,), given the step's mean chosen length."""
