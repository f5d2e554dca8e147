"""Log-probabilities of a batch's completions under a model, without logits for any other position."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mixpo.batches.layout import Batch
from mixpo.training.logprobs import completion_logps
from mixpo.training.prefix_attention import mask_for
from mixpo.training.vision import each_image_once


def score(model: nn.Module, batch: Batch, head: nn.Module, chunk: int) -> Tensor:
    """(C,) float32: the summed log-probability of each completion's tokens, end-of-turn included.

    `model` is the transformers model as it is, or what DDP, FSDP or DeepSpeed made of it; `head` is its output
    embedding (`get_output_embeddings()`). While the model runs, the head scores the completion tokens instead of
    producing (R, T, vocabulary) logits, so that everything still happens inside the wrapper's own forward.
    """
    inputs = dict(batch.inputs)
    if batch.prefixes is not None:
        inputs["attention_mask"] = mask_for(plain(model), batch.prefixes, _dtype(head), inputs["input_ids"].device)
    with _scoring_head(head, batch, chunk), each_image_once(plain(model), batch.tiles):
        return model(**inputs, use_cache=False).logits


@contextmanager
def _scoring_head(head: nn.Module, batch: Batch, chunk: int) -> Iterator[None]:
    plain = head.forward

    def forward(hidden: Tensor) -> Tensor:
        flat = hidden.reshape(-1, hidden.shape[-1])[batch.positions]
        head.forward = plain  # the general path calls the head itself
        return completion_logps(flat, batch.targets, batch.segments, len(batch.lengths), head, chunk=chunk)

    head.forward = forward
    try:
        yield
    finally:
        # Deleting the instance attribute brings the class's own method back; peft and accelerate may have set one.
        head.forward = plain


def plain(model: Any) -> Any:
    """The transformers model inside what DDP, FSDP or DeepSpeed made of it."""
    return model.module if hasattr(model, "module") else model


def _dtype(head: nn.Module) -> torch.dtype:
    return next(head.parameters()).dtype


def output_head(model: Any) -> nn.Module:
    """The module that makes logits of hidden states. Raises UserError for a model that changes logits afterwards."""
    from mixpo.errors import UserError

    config = model.config.get_text_config()
    if getattr(config, "final_logit_softcapping", None):
        raise UserError(
            f"{type(model).__name__} caps its logits after the head (final_logit_softcapping), which scoring does not "
            "reproduce; set final_logit_softcapping: null in its config or choose another model"
        )
    head = model.get_output_embeddings()
    if head is None:
        raise UserError(
            f"{type(model).__name__} has no output embeddings; only models that generate text can be trained"
        )
    return head
