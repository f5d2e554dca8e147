"""The reference policy's log-probabilities: a frozen copy, or the policy with its adapter switched off."""

import copy
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mixpo.batches.layout import Batch
from mixpo.training.models import switch_dropout_off
from mixpo.training.scoring import output_head, score


class Reference(Protocol):
    """batch -> log-probabilities of its completions, (C,) float32, without gradient."""

    def __call__(self, batch: Batch, chunk: int) -> Tensor: ...


class FrozenCopy:
    """A second model whose weights never change; a copy of the policy as it was at the start, unless given."""

    def __init__(self, policy: nn.Module, given: nn.Module | None = None):
        self.model = given if given is not None else copy.deepcopy(policy)
        self.model.requires_grad_(False).eval()
        switch_dropout_off(self.model)
        self.head = output_head(self.model)

    def to(self, device: torch.device) -> None:
        self.model.to(device)

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        return score(self.model, batch, self.head, chunk)


class AdapterOff:
    """The policy's own base weights: its LoRA adapter is switched off, in eval mode, while the reference is scored."""

    def __init__(self, policy: Any):
        self.policy = policy
        self.head = output_head(policy)

    def to(self, device: torch.device) -> None:
        """The policy moves itself."""

    @torch.no_grad()
    def __call__(self, batch: Batch, chunk: int) -> Tensor:
        training = self.policy.training
        self.policy.eval()
        try:
            with self.policy.disable_adapter():
                return score(self.policy, batch, self.head, chunk)
        finally:
            self.policy.train(training)
