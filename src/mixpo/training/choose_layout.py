"""`layout: auto`: shared-prefix rows where a model computes the same with them, the usual rows where it does not."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from mixpo.batches.encode import Example
from mixpo.batches.layout import Layout
from mixpo.errors import UserError
from mixpo.models.attention import FLEX, cross_attends, decoder, takes_shared_rows
from mixpo.models.load import Attention
from mixpo.training.distributed import Processes
from mixpo.training.mask_watch import MaskWatch

log = logging.getLogger(__name__)
TOLERANCE = 1e-4
"""Relative difference of log-probabilities up to which the layouts count as equal, in float32."""
ROUNDINGS = 4
"""The same for a model that computes in 16 bits, in units of its type's last place; a float32 model on a GPU counts as
one of 10 bits where its products are rounded to TF32."""
ATTENDING = {"full_attention", "sliding_attention", "chunked_attention"}


def possible(layout: Layout, model: Any) -> Layout:
    """`layout`, or PAIRED for AUTO where the attention of the model cannot be told who sees whom.

    Raises UserError for SHARED there.
    """
    if takes_shared_rows(model):
        return layout
    if cross_attends(model):
        apart = f"{type(model).__name__} attends to images apart from the prompt's tokens"
        if layout is Layout.SHARED:
            raise UserError(f"layout: shared takes one image for all tokens, and {apart}; say auto, or paired")
        if layout is Layout.AUTO:
            log.warning("layout: paired, since %s", apart)
        return Layout.PAIRED
    chosen = decoder(model).config._attn_implementation
    if layout is Layout.SHARED:
        raise UserError(
            f"layout: shared needs attention that takes a mask, which {chosen} does not: sdpa, or layout: paired"
        )
    return Layout.PAIRED


def refuse_without_flex(attention: str, model: Any) -> None:
    """Raises UserError where FlexAttention was asked for, and the model is not attended to by it."""
    if attention == Attention.FLEX and decoder(model).config._attn_implementation not in FLEX:
        raise UserError(
            "attention: flex needs a GPU, shared rows and a model that knows FlexAttention; say auto, or sdpa"
        )


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


def telling(examples: Sequence[Example], count: int, window: float) -> list[Example]:
    """The `count` examples that can show a difference, of those that fit: with images, and the longest."""
    fitting = [example for example in examples if fits([example], window)]
    return sorted(fitting, key=lambda example: (bool(example.image_inputs), example.length))[-count:]


def attends_everywhere(config: Any) -> bool:
    """Whether all layers attend, by a model's config: recurrent ones and convolutions know no mask of ours."""
    return set(getattr(config.get_text_config(), "layer_types", None) or ()) <= ATTENDING


@contextmanager
def measured(model: Any, device: torch.device) -> Iterator[None]:
    """Within it, `model` is in eval mode and computes in the type of its weights, also where accelerate has put
    autocast into it."""
    training, own = model.training, model.forward
    plain = model.__dict__.get("_original_forward")
    if plain is not None:
        model.forward = plain
    model.eval()
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if plain is not None:
            model.forward = own
        model.train(training)


def tolerance(model: nn.Module, device: torch.device) -> float:
    """Relative difference up to which two ways to compute the same log-probabilities count as equal.

    Follows from the coarsest type of the weights; quantised ones, and those that FSDP gathers in another type, count
    as bfloat16.
    """
    types = {parameter.dtype for parameter in model.parameters()}
    if any(not one.is_floating_point or one.itemsize == 1 for one in types) or isinstance(model, FSDPModule):
        types.add(torch.bfloat16)
    coarsest = max(torch.finfo(one).eps for one in types if one.is_floating_point and one.itemsize > 1)
    if device.type == "cuda" and torch.backends.cuda.matmul.fp32_precision == "tf32":
        coarsest = max(coarsest, 2.0**-10)
    return max(TOLERANCE, ROUNDINGS * coarsest)


def is_shared_exact(score: Callable[[Layout], Tensor], model: Any, processes: Processes) -> bool:
    """Whether `score(SHARED)` gives the log-probabilities of `score(PAIRED)` under `model`, whatever its weights; if
    not, a warning says why. All processes call `score` as often, and come to the same."""

    def agreed(own: bool) -> bool:
        return processes.total([own]) == [processes.args.world_size]

    device = processes.args.device
    # Layers that the section has compiled are not compiled for this as well.
    stance = torch.compiler.set_stance("force_eager") if processes.args.compile else nullcontext()
    with measured(model, device), stance:
        with MaskWatch(model) as watch:
            paired = score(Layout.PAIRED)
        if not agreed(watch.causal and attends_everywhere(model.config)):
            log.warning(
                "layout: paired, since tokens see later ones (of an image, of a prompt), or layers do not attend"
            )
            return False
        return agreed(_equal(score, paired, tolerance(model, device)))


def _equal(score: Callable[[Layout], Tensor], paired: Tensor, tolerance: float) -> bool:
    try:
        shared = score(Layout.SHARED)
    except torch.OutOfMemoryError:
        raise
    except (ValueError, RuntimeError, TypeError) as error:
        log.warning("layout: paired, since the model does not take shared-prefix rows (%s)", error)
        return False
    worst = ((shared - paired).abs() / paired.abs().clamp(min=1)).max().item()
    if worst <= tolerance:
        return True
    log.warning(
        "layout: paired, since shared-prefix rows change log-probabilities by up to %.1e relative (positions?)", worst
    )
    return False
