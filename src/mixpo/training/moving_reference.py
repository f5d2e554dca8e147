"""A reference that follows the policy: TR-DPO (Gorbatovski et al. 2024, arXiv 2404.09656)."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import TrainerCallback

from mixpo.errors import UserError
from mixpo.losses.tr_dpo import blend
from mixpo.training.checkpoints import load_weights
from mixpo.training.reference import FrozenCopy

FOLDER = "reference"
"""Where a checkpoint keeps the reference's weights."""


class MovingReference(FrozenCopy, TrainerCallback):
    """A copy that every `steps` optimizer steps becomes `weight` policy + (1 - `weight`) itself."""

    def __init__(self, policy: nn.Module, given: nn.Module | None, steps: int, weight: float):
        """Raises UserError for a policy with an adapter, and for a given reference of another shape."""
        if hasattr(policy, "disable_adapter"):
            raise UserError("reference_update_steps needs a policy without adapter: merge it, or train all weights")
        super().__init__(policy, given)
        shapes = [[parameter.shape for parameter in model.parameters()] for model in (self.model, policy)]
        if shapes[0] != shapes[1]:
            raise UserError("reference_update_steps needs a reference of the policy's own architecture; drop ref_model")
        self.steps = steps
        self.weight = weight

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """What the Trainer calls after an optimizer step, before it saves a checkpoint."""
        if state.global_step % self.steps == 0:
            blend(self.model.parameters(), model.parameters(), self.weight)

    def save(self, checkpoint: Path) -> None:
        model: Any = self.model
        model.save_pretrained(checkpoint / FOLDER)

    def load(self, checkpoint: Path) -> None:
        """Raises UserError when the checkpoint's reference does not fit."""
        load_weights(self.model, str(checkpoint / FOLDER))
