"""What every loss is made of: log-probabilities and lengths of the completions of some pairs."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Tensors of shape (pairs,), float32 (float64 in tests), one device.

    Log-probabilities are summed over the completion's tokens, end-of-turn included; lengths count the
    same tokens. What the objective does not need may be None (`Objective.needs_rejected`,
    `Objective.needs_reference`).
    """

    chosen_logps: Tensor
    chosen_lengths: Tensor
    rejected_logps: Tensor | None = None
    rejected_lengths: Tensor | None = None
    ref_chosen_logps: Tensor | None = None
    ref_rejected_logps: Tensor | None = None

    @property
    def has_logratios(self) -> bool:
        return not (self.rejected_logps is None or self.ref_chosen_logps is None or self.ref_rejected_logps is None)

    def _given(self, name: str) -> Tensor:
        value = getattr(self, name)
        assert value is not None, f"the objective needs {name}"
        return value

    @property
    def logratios(self) -> tuple[Tensor, Tensor]:
        """log pi - log pi_ref of chosen and rejected."""
        rejected = self._given("rejected_logps")
        return self.chosen_logps - self._given("ref_chosen_logps"), rejected - self._given("ref_rejected_logps")

    def rewards(self, beta: float) -> tuple[Tensor, Tensor]:
        """beta (log pi - log pi_ref) of chosen and rejected."""
        chosen, rejected = self.logratios
        return beta * chosen, beta * rejected

    @property
    def margins(self) -> tuple[Tensor, Tensor]:
        """log pi(chosen) - log pi(rejected) of policy and reference."""
        policy = self.chosen_logps - self._given("rejected_logps")
        return policy, self._given("ref_chosen_logps") - self._given("ref_rejected_logps")

    @property
    def mean_logratios(self) -> tuple[Tensor, Tensor]:
        """log pi - log pi_ref per token of chosen and rejected."""
        chosen, rejected = self.logratios
        return chosen / self.chosen_lengths, rejected / self._given("rejected_lengths")

    @property
    def mean_logps(self) -> tuple[Tensor, Tensor]:
        """log pi per token of chosen and rejected."""
        return self.chosen_logps / self.chosen_lengths, self._given("rejected_logps") / self._given("rejected_lengths")
