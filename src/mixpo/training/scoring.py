"""Log-probabilities of a batch's completions under a model, without logits for any other position."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mixpo.batches.layout import Batch
from mixpo.errors import UserError, first_line
from mixpo.models.attention import decoder, mask_for
from mixpo.models.head import Head
from mixpo.models.logprobs import completion_logps
from mixpo.models.vision import each_image_once, placed_on_host


def score(model: nn.Module, batch: Batch, head: Head, chunk: int) -> Tensor:
    """(C,) float32: the summed log-probability of each completion's tokens, end-of-turn included.

    `model` is the transformers model as it is, or what DDP, FSDP or DeepSpeed made of it; `head` is its output
    embedding (`output_head`). While the model runs, the head scores the completion tokens instead of producing
    (R, T, vocabulary) logits, so that everything still happens inside the wrapper's own forward, and inside the head's
    own call: an engine that shards the weights gathers the head's once a row, whatever the number of its chunks.

    Raises UserError as `passed_through`.
    """
    own = head.module.forward

    def logps(hidden: Tensor) -> Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])[batch.positions]
        head.module.forward = own  # the general path calls the module itself
        return completion_logps(flat, batch.targets, batch.segments, len(batch.lengths), head, chunk)

    return passed_through(model, batch, head, logps)


def passed_through(model: nn.Module, batch: Batch, head: Head, scored: Callable[[Tensor], Tensor]) -> Tensor:
    """What `scored` makes of the hidden states (R, T, width) that the model's head is given.

    Raises UserError for a row a completion, as the processor gives it, that the model refuses.
    """
    inputs = dict(batch.inputs)
    if not torch.is_autocast_enabled(batch.targets.device.type):
        # DeepSpeed casts weights, not what goes in.
        dtype = plain(model).dtype
        inputs = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
    if batch.prefixes is not None:
        inputs["attention_mask"] = _mask(plain(model), batch, next(head.module.parameters()).dtype)

    tiles = 0 if batch.tiles is None else len(batch.inputs["pixel_values"])
    once = each_image_once(plain(model), batch.tiles, tiles)
    with (
        head.replaced(lambda hidden: scored(hidden) * head.passing),
        once,
        placed_on_host(plain(model), batch.host_ids),
    ):
        try:
            return head.passed(model(**inputs, use_cache=False).logits)
        except (ValueError, TypeError) as error:
            if batch.prefixes is not None:
                raise
            raise UserError(
                f"{type(plain(model)).__name__} does not take a batch as its processor gives it ({first_line(error)}); "
                "check that the processor is this checkpoint's own, or choose another model"
            ) from error


def _mask(model: Any, batch: Batch, dtype: torch.dtype) -> Any:
    """The shared row's mask, made once a row."""
    assert batch.prefixes is not None
    ids = batch.inputs["input_ids"]
    made_for = decoder(model).config._attn_implementation, dtype, ids.device
    if made_for not in batch.masks:
        batch.masks[made_for] = mask_for(model, batch.prefixes, ids.shape[1], dtype, ids.device)
    return batch.masks[made_for]


def plain(model: Any) -> Any:
    """The transformers model inside what DDP, FSDP or DeepSpeed made of it."""
    return model.module if hasattr(model, "module") else model
