"""The fallback for models whose memory is not plain keys and values of tokens (recurrent states, compressed caches,
images that are attended to apart):
the samples of one request decode together, through the model's own preparation of inputs, as `generate` does it."""

from collections.abc import Iterator
from typing import Any

import torch

from mixpo.models.chat import tokenwise
from mixpo.records import Dropped
from mixpo.responses.backends.embedded.prefill import Encoded, Prefilled, forward_prompts, move
from mixpo.responses.backends.embedded.rows import StoppingCriteria, Written, begin
from mixpo.responses.backends.embedded.steps import Drawing


def decode_plainly(
    model: Any, batches: Iterator[Encoded | Dropped], drawing: Drawing, limits: StoppingCriteria, budget: int
) -> Iterator[Written | Dropped]:
    """Every (request, sample) of batches that hold one request each."""
    for batch in batches:
        if isinstance(batch, Dropped):
            yield batch
            continue
        (request,) = batch.requests
        together = max(1, budget // (batch.lengths[0] + limits.of(batch.lengths[0])))
        for start in range(0, len(request.samples), together):
            yield from _decode(model, batch, request.samples[start : start + together], drawing, limits)


def _decode(
    model: Any, batch: Encoded, samples: tuple[int, ...], drawing: Drawing, limits: StoppingCriteria
) -> Iterator[Written]:
    inputs = move(batch.inputs, model)
    outputs, positions = forward_prompts(model, inputs)
    state = {**inputs, "position_ids": positions, "use_cache": True}
    state = model._update_model_kwargs_for_generation(outputs, state, is_encoder_decoder=False)
    ids = state.pop("input_ids")
    logits = outputs.logits[:, -1].float()
    prefilled = Prefilled(
        requests=batch.requests,
        lengths=torch.tensor(batch.lengths),
        logits=logits,
        positions=torch.zeros((1, 1), dtype=torch.long, device=model.device),
        layers=[],
    )
    rows = begin(prefilled, [(0, sample) for sample in samples], limits, drawing.seed)
    order = torch.zeros(len(samples), dtype=torch.long, device=model.device)
    ids, logits = ids[order], logits[order]
    select_rows(state, order)
    while True:
        tokens = drawing(rows, logits)
        rows.write(tokens, limits.end_ids)
        finished, _ = rows.progress()
        yield from rows.select(finished.nonzero()[:, 0]).written(limits.end_ids, drawing.logps)
        stay = (~finished).nonzero()[:, 0]
        if not len(stay):
            return
        rows, order = rows.select(stay), stay.to(model.device, non_blocking=True)
        select_rows(state, order)
        ids = torch.cat([ids, tokens[:, None]], dim=1)[order]
        arguments = model.prepare_inputs_for_generation(ids, next_sequence_length=1, **state)
        outputs = model(**arguments, return_dict=True)
        state = model._update_model_kwargs_for_generation(outputs, state, is_encoder_decoder=False)
        logits = outputs.logits[:, -1].float()


def select_rows(state: dict[str, Any], order: torch.Tensor) -> None:
    """Keeps (or repeats) rows of what `generate` carries from step to step."""
    state["past_key_values"].reorder_cache(order)
    # Positions of several axes have them first: (axes, rows, columns).
    state["position_ids"] = state["position_ids"].index_select(-2, order)
    for name in set(tokenwise(state, state["attention_mask"].shape)) - {"position_ids"}:
        state[name] = state[name][order]
