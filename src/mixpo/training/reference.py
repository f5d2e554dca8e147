"""The reference policy's log-probabilities: a frozen copy, or the policy with its adapter switched off."""

import copy
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mixpo.batches.layout import Batch
from mixpo.models.attention import decoder
from mixpo.models.cpu_model import speed_up
from mixpo.models.head import output_head
from mixpo.models.load import switch_dropout_off
from mixpo.training.scoring import score


class Reference(Protocol):
    """batch -> log-probabilities of its completions, (C,) float32, without gradient."""

    def to(self, device: torch.device) -> None: ...

    def __call__(self, batch: Batch, chunk: int) -> Tensor: ...


class FrozenCopy:
    """A second model whose weights never change; a copy of the policy as it was at the start, unless given."""

    def __init__(self, policy: nn.Module, given: nn.Module | None = None):
        self.model = given if given is not None else copy.deepcopy(policy)
        self.model.requires_grad_(False).eval()
        # A model that was given is attended to like the policy.
        decoder(self.model).config._attn_implementation = decoder(policy).config._attn_implementation
        switch_dropout_off(self.model)
        self.head = output_head(self.model)
        speed_up(self.model, but=self.head.module)

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
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

    def to(self, device: torch.device) -> None:
        """The policy moves itself."""

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        training = self.policy.training
        self.policy.eval()
        try:
            with self.policy.disable_adapter() if self.adapter else nullcontext():
                return score(self.policy, batch, self.head, chunk)
        finally:
            self.policy.train(training)


def initial_reference(policy: nn.Module, given: nn.Module | None, fresh_adapter: bool, cached: bool) -> Reference:
    """The model given; else the policy as it is before the first step.

    A new adapter changes nothing yet, so the model without it is the reference; one that was trained before is part
    of the reference. No copy is needed where all is computed before the first step (`cached`).
    """
    if given is None and (fresh_adapter or cached):
        return AsItIs(policy, fresh_adapter)
    return FrozenCopy(policy, given)
