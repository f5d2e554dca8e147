"""The reward shift delta of BCO: a moving average of the rewards of previous optimizer steps.

MPO (arXiv 2411.10442, section 4.1) takes "the moving average of previous rewards". The step's own
rewards enter only after the step, so that every micro-batch and every rank uses the same delta.
"""

import math
from typing import Any

KINDS = ("mean", "ema", "none")


class RewardShift:
    """A weighted mean: `value` = total / weight, in Python's float64; 0 before the first update.

    mean: of all previous rewards, each with weight 1.
    ema: of the means of previous steps, the mean of the step before last with weight `decay` times
        that of the last, and so on. The weights are divided by their sum: a plain
        `decay * old + (1 - decay) * new` from 0 would hold the first ~1/(1 - decay) steps near 0.
    none: 0 always.
    """

    def __init__(self, kind: str = "mean", decay: float = 0.99):
        """Raises ValueError for an unknown kind or a decay outside [0, 1]."""
        if kind not in KINDS:
            raise ValueError(f"reward shift {kind!r} is none of {', '.join(KINDS)}")
        if not 0 <= decay <= 1:
            raise ValueError(f"the reward shift's decay must be between 0 and 1, not {decay}")
        self.kind = kind
        self.decay = decay
        self._total = 0.0
        self._weight = 0.0

    @property
    def value(self) -> float:
        return self._total / self._weight if self._weight else 0.0

    def update(self, sum_of_rewards: float, count: int) -> None:
        """Takes in one optimizer step: the sum and the number of its rewards, chosen and rejected, over all ranks.

        Raises FloatingPointError when the sum is not finite: a NaN would stay in delta for ever.
        """
        if not math.isfinite(sum_of_rewards):
            raise FloatingPointError(f"the rewards of this step sum to {sum_of_rewards}: the policy has diverged")
        if count == 0 or self.kind == "none":
            return
        if self.kind == "mean":
            self._total += sum_of_rewards
            self._weight += count
        else:
            self._total = self.decay * self._total + sum_of_rewards / count
            self._weight = self.decay * self._weight + 1

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; JSON keeps them to the last bit."""
        return {"kind": self.kind, "decay": self.decay, "total": self._total, "weight": self._weight}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state` stopped. Raises ValueError when it is of another kind or decay."""
        for name, mine in (("kind", self.kind), ("decay", self.decay)):
            if state[name] != mine:
                raise ValueError(f"the saved reward shift has {name} {state[name]!r}, this run asks for {mine!r}")
        self._total = float(state["total"])
        self._weight = float(state["weight"])
