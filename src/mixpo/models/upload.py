"""From the host to a GPU without waiting for it."""

import torch
from torch import Tensor


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor.to(device)`. The host goes on while it is copied to a GPU: pageable memory would have to be waited for,
    so it is copied to pinned memory first (torch keeps that until the copy is done)."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
