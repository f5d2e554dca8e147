"""Sums of what is logged, from one line of the log to the next."""

from collections import defaultdict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from mixpo.losses.mix import Mixed
from mixpo.losses.terms import Terms


class Means:
    """Means over pairs: every pair counts once, whatever micro-batch or rank it was in."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}
        """(names,) by the names; they stay on the device until somebody asks."""
        self._pairs = self._tokens = 0

    def add(self, values: Mapping[str, Tensor], pairs: int, tokens: int) -> None:
        names = tuple(values)
        sums = exact(torch.stack([value.detach() for value in values.values()]).sum(dim=1))
        self._sums[names] = self._sums[names] + sums if names in self._sums else sums
        self._pairs += pairs
        self._tokens += tokens

    def drain(self, reduce: Callable[[list[float]], list[float]]) -> dict[str, float]:
        """The means since the last call, and `tokens`, their sum; empty when nothing was added.

        `reduce` sums a list of numbers over the ranks, all of which must call this.
        """
        own: defaultdict[str, float] = defaultdict(float)
        for added, values in self._sums.items():
            for name, value in zip(added, values.tolist(), strict=True):
                own[name] += value
        if self._sums:
            own.update(pairs=float(self._pairs), tokens=float(self._tokens))  # logged as 12.0, not 12
        self._begin()
        names = sorted(own)
        sums = dict(zip(names, reduce([own[name] for name in names]), strict=True))
        pairs, tokens = sums.pop("pairs", 0.0), sums.pop("tokens", 0.0)
        return {**{name: value / pairs for name, value in sums.items()}, "tokens": tokens} if pairs else {}


def exact(values: Tensor) -> Tensor:
    """In float64, where the device has it: so that sums over many batches lose nothing."""
    return values if values.device.type == "mps" else values.double()


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
