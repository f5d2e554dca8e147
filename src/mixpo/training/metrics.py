"""Sums of what is logged, from one line of the log to the next."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from torch import Tensor

from mixpo.losses.mix import Mixed
from mixpo.losses.terms import Terms


class Means:
    """Means over pairs: every pair counts once, whatever micro-batch or rank it was in."""

    def __init__(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)

    def add(self, values: Mapping[str, Tensor], pairs: int, tokens: int) -> None:
        for name, value in values.items():
            self._sums[name] += value.detach().sum().item()
        self._sums["pairs"] += pairs
        self._sums["tokens"] += tokens

    def drain(self, reduce: Callable[[list[float]], list[float]]) -> dict[str, float]:
        """The means since the last call, and `tokens`, their sum; empty when nothing was added.

        `reduce` sums a list of numbers over the ranks, all of which must call this.
        """
        names = sorted(self._sums)
        sums = dict(zip(names, reduce([self._sums[name] for name in names]), strict=True))
        self._sums.clear()
        pairs, tokens = sums.pop("pairs", 0.0), sums.pop("tokens", 0.0)
        return {**{name: value / pairs for name, value in sums.items()}, "tokens": tokens} if pairs else {}


def logged(parts: Mixed, terms: Terms) -> dict[str, Tensor]:
    """What is logged of each pair, (P,) each; keys as in `docs/design.md`."""
    values = {
        "loss": parts.total,
        "loss/preference": parts.preference,
        "loss/quality": parts.quality,
        "loss/generation": parts.generation,
        "logps/chosen": terms.chosen_logps,
        "logps/rejected": terms.rejected_logps,
        "rewards/chosen": parts.chosen_rewards,
        "rewards/rejected": parts.rejected_rewards,
    }
    if parts.chosen_rewards is not None and parts.rejected_rewards is not None:
        values["rewards/margins"] = parts.chosen_rewards - parts.rejected_rewards
        values["rewards/accuracies"] = (parts.chosen_rewards > parts.rejected_rewards).float()
    return {name: value for name, value in values.items() if value is not None}
