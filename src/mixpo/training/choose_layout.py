"""`layout: auto`: shared-prefix rows where a model computes the same with them, the usual rows where it does not."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
"""Relative difference of log-probabilities up to which the layouts count as equal."""


def window(config: Any) -> float:
    """Tokens that every layer of a model sees, by its config; infinite where no layer has local attention."""
    text = config.get_text_config()
    local = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
    kinds = set(getattr(text, "layer_types", None) or local)
    sizes = [getattr(text, field, None) for kind, field in local.items() if kind in kinds]
    return min((size for size in sizes if size), default=math.inf)


def fits(examples: Sequence[Example], window: float) -> bool:
    """Whether no completion looks further back than `window`: the mask of shared-prefix rows has none."""
    lengths = (len(example.prompt_ids) + len(one) for example in examples for one in example.completions)
    return max(lengths, default=0) <= window


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
        "(positions, attention in both directions, or layers that do not attend)",
        worst,
    )
    return False
