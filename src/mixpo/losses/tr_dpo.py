"""The moving reference of Trust Region DPO (TR-DPO), arXiv 2404.09656; the loss itself stays DPO's."""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def blend(reference: Iterable[Tensor], policy: Iterable[Tensor], alpha: float) -> None:
    """reference <- alpha policy + (1 - alpha) reference, parameter by parameter, in place.

    The paper's soft update blends with alpha below 1 (0.5 to 0.6), its hard update replaces the
    reference (alpha 1) every few hundred steps. Log-probabilities of the reference from before are
    out of date then. Raises ValueError when the two do not have the same parameters.
    """
    for old, new in zip(reference, policy, strict=True):
        if old.shape != new.shape:
            raise ValueError(f"reference and policy differ: parameters of {tuple(old.shape)} and {tuple(new.shape)}")
        old.lerp_(new.to(old), alpha)
