"""`layout: auto`: shared-prefix rows where a model computes the same with them, the usual rows where it does not."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
"""Relative difference of log-probabilities up to which the layouts count as equal."""


def telling(examples: Sequence[Example], count: int) -> list[Example]:
    """The `count` examples that can show a difference: with images, and the longest."""
    return sorted(examples, key=lambda example: (bool(example.image_inputs), example.length))[-count:]


def is_shared_exact(score: Callable[[Layout], Tensor]) -> bool:
    """Whether `score(SHARED)` gives the log-probabilities of `score(PAIRED)`; if not, a warning says why."""
    paired = score(Layout.PAIRED)
    try:
        shared = score(Layout.SHARED)
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError, TypeError) as error:
        log.warning("layout: paired, since the model does not take shared-prefix rows (%s)", error)
        return False
    worst = ((shared - paired).abs() / paired.abs().clamp(min=1)).max().item()
    if worst <= TOLERANCE:
        return True
    log.warning(
        "layout: paired, since shared-prefix rows change log-probabilities by up to %.1e relative "
        "(three-dimensional positions, sliding windows or bidirectional attention)",
        worst,
    )
    return False
