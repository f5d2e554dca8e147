"""What is known of the optimizer step under way: its pairs' log-probabilities, and their rewards added up."""

from torch import Tensor

from mixpo.batches.layout import Batch
from mixpo.losses.mix import Mixed, Terms
from mixpo.training.metrics import exact


class OptimizerStep:
    """Counts the step's micro-batches down and adds their rewards up."""

    def __init__(self) -> None:
        self.begin(0, 0.0)

    def begin(self, batches: int, mean_length: float) -> None:
        """`batches`, the same on every process; `mean_length`, the mean tokens of a chosen completion over them."""
        self.batches_left = batches
        self.mean_length = mean_length
        self.rewards: Tensor | None = None
        self.count = 0

    def end_batch(self) -> bool:
        """Whether that was the step's last one."""
        self.batches_left -= 1
        return self.batches_left == 0

    def add(self, parts: Mixed) -> None:
        """Adds the rewards of a micro-batch, or of a part of one; they stay on the device."""
        for rewards in (parts.chosen_rewards, parts.rejected_rewards):
            if rewards is not None:
                total = exact(rewards.detach().sum())
                self.rewards = total if self.rewards is None else self.rewards + total
                self.count += len(rewards)

    def total(self) -> tuple[float, int]:
        """The sum of the rewards, which is waited for, and their number."""
        return 0.0 if self.rewards is None else self.rewards.item(), self.count


def terms_of(batch: Batch, logps: Tensor, reference: Tensor | None) -> Terms:
    """Log-probabilities by pair, from those by completion."""

    def pick(values: Tensor | None, index: Tensor | None) -> Tensor | None:
        return None if values is None or index is None else values[index]

    return Terms(
        chosen_logps=logps[batch.chosen],
        rejected_logps=pick(logps, batch.rejected),
        ref_chosen_logps=pick(reference, batch.chosen),
        ref_rejected_logps=pick(reference, batch.rejected),
        chosen_lengths=batch.lengths[batch.chosen],
        rejected_lengths=pick(batch.lengths, batch.rejected),
    )
