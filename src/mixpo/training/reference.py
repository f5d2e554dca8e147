"""The reference policy's log-probabilities: a frozen copy, the policy without its adapter, a copy that follows it."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from mixpo.batches.layout import Batch
from mixpo.errors import UserError
from mixpo.losses.formulas import blend
from mixpo.models.attention import decoder
from mixpo.models.cpu_model import speed_up
from mixpo.models.head import output_head
from mixpo.models.load import switch_dropout_off
from mixpo.models.vision import take_single_tokens
from mixpo.training.checkpoints import load_weights
from mixpo.training.config import MPOConfig
from mixpo.training.scoring import score
from mixpo.training.sharding import Sharding, copied

FOLDER = "reference"
"""Where a checkpoint keeps the reference's weights."""


class Reference(Protocol):
    """batch -> log-probabilities of its completions, (C,) float32, without gradient."""

    def place(self, sharding: Sharding) -> None:
        """Once, when it is known how the policy will be computed."""

    def __call__(self, batch: Batch, chunk: int) -> Tensor: ...


class FrozenCopy:
    """A second model whose weights never change; a copy of the policy as it was at the start, unless given."""

    def __init__(self, policy: nn.Module, given: nn.Module | None = None, device: torch.device | None = None):
        """`device`: where it will run (`speed_up`)."""
        self.model = given if given is not None else copied(policy)
        self.model.requires_grad_(False).eval()
        # A model that was given is attended to like the policy.
        decoder(self.model).config._attn_implementation = decoder(policy).config._attn_implementation
        switch_dropout_off(self.model)
        self.head = output_head(self.model)
        speed_up(self.model, but=self.head.module, device=device)
        take_single_tokens(self.model)

    def place(self, sharding: Sharding) -> None:
        self.sharding = sharding
        self.model = sharding.frozen(self.model)

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        # accelerate wraps the policy's forward alone: without this the reference would run in another precision.
        with self.sharding.autocast():
            return score(self.model, batch, self.head, chunk)


class AsItIs:
    """The policy itself, in eval mode; with its new LoRA adapter switched off, if it has one.

    With an adapter that is the reference at any time. Without one it is only before the first step
    (`reference_cache`).
    """

    def __init__(self, policy: Any, adapter: bool):
        self.policy = policy
        self.adapter = adapter
        self.head = output_head(policy)

    def place(self, sharding: Sharding) -> None:
        """The policy is placed by its trainer."""
        self.sharding = sharding

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        training = self.policy.training
        self.policy.eval()
        try:
            with self.policy.disable_adapter() if self.adapter else nullcontext(), self.sharding.autocast():
                logps = score(self.policy, batch, self.head, chunk)
                self.sharding.release(self.policy)
                return logps
        finally:
            self.policy.train(training)


class MovingReference(FrozenCopy, TrainerCallback):
    """A copy that every `steps` optimizer steps becomes `weight` policy + (1 - `weight`) itself: TR-DPO, Gorbatovski et
    al. 2024, arXiv 2404.09656."""

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

    def place(self, sharding: Sharding) -> None:
        """Its weights stay float32: it is blended with the policy, which is."""
        self.sharding = sharding
        self.model.to(sharding.accelerator.device)

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


def make_reference(
    policy: nn.Module, given: nn.Module | None, args: MPOConfig, fresh_adapter: bool
) -> Reference | None:
    """The model given; else the policy as it is before the first step; None where the objective needs none.

    A new adapter changes nothing yet, so the model without it is the reference; one that was trained before is part
    of the reference. No copy is needed where all is computed before the first step (`reference_cache`).
    """
    if not args.needs_reference:
        return None
    if args.reference_update_steps:
        return MovingReference(policy, given, args.reference_update_steps, args.reference_update_weight)
    if given is None and (fresh_adapter or args.reference_cache):
        return AsItIs(policy, fresh_adapter)
    return FrozenCopy(policy, given, args.device)
