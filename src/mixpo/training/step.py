"""What is known of the optimizer step under way, from its first micro-batch to its last."""

from mixpo.losses.mix import Mixed


class Step:
    """Counts the step's pairs down and adds their rewards up."""

    def __init__(self) -> None:
        self.begin(0, 0.0)

    def begin(self, pairs: int, mean_length: float) -> None:
        """`pairs` of this process; `mean_length`, the mean tokens of a chosen completion over all processes."""
        self.pairs_left = pairs
        self.mean_length = mean_length
        self.rewards = 0.0
        self.count = 0

    def add(self, parts: Mixed) -> bool:
        """Adds a micro-batch; whether it was the step's last one."""
        self.pairs_left -= len(parts.total)
        for rewards in (parts.chosen_rewards, parts.rejected_rewards):
            if rewards is not None:
                self.rewards += rewards.sum().item()
                self.count += len(rewards)
        return self.pairs_left == 0
