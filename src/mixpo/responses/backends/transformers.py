"""The embedded backend: any image-text-to-text checkpoint, its prompts encoded once, its rows batched continuously."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from mixpo.errors import UserError
from mixpo.records import Dropped
from mixpo.responses.backend import Completion, Request, SamplingParams
from mixpo.responses.backends.decode import ContinuousBatch, Drawing
from mixpo.responses.backends.draw import sampler
from mixpo.responses.backends.encode import Encoder
from mixpo.responses.backends.intake import encoded_batches
from mixpo.responses.backends.make import BackendConfig
from mixpo.responses.backends.plain import decode_plainly
from mixpo.responses.backends.prefill import keeps_keys_only
from mixpo.responses.backends.rows import Limits, Written

log = logging.getLogger(__name__)


class TransformersBackend:
    """Completes prompts with a model held in this process; its weights are left as they are."""

    def __init__(self, model: Any, processor: Any, token_budget: int = 65_536):
        self.model = model.eval()
        self.encoder = Encoder(processor)
        self.token_budget = token_budget
        self.end_ids = end_of_turn_ids(model, self.encoder.tokenizer)
        self.context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 2**31
        self.continuous = keeps_keys_only(model)

    @classmethod
    def load(cls, model: str, config: BackendConfig) -> "TransformersBackend":
        """From a folder or hub name. Raises UserError when it cannot be loaded or fails a canary."""
        device = _device(config.device)
        dtype = config.dtype
        if dtype == "auto" and device.type == "cpu":
            dtype = "float32"
        try:
            processor = AutoProcessor.from_pretrained(model)
            weights = AutoModelForImageTextToText.from_pretrained(model, dtype=dtype)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"model {model!r} cannot be loaded ({reason}); check the path") from error
        weights.to(device)  # type: ignore[arg-type]
        return cls(weights, processor, config.token_budget)

    @torch.inference_mode()
    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order they finish; what a request's sample says does not depend on the others."""
        drawing = Drawing(sampler(params), params.seed, params.logps)
        limits = Limits(
            torch.tensor(sorted(self.end_ids), device=self.model.device), params.max_new_tokens, self.context
        )
        for written in self._decode(requests, drawing, limits):
            yield written if isinstance(written, Dropped) else self._completion(written)

    def _decode(self, requests: Iterable[Request], drawing: Drawing, limits: Limits) -> Iterator[Written | Dropped]:
        if not self.continuous:
            batches = encoded_batches(requests, self.encoder, self.context, most=1)
            yield from decode_plainly(self.model, batches, drawing, limits, self.token_budget)
            return
        while requests:
            batch = ContinuousBatch(self.model, drawing, limits, self.token_budget)
            yield from batch.run(encoded_batches(requests, self.encoder, self.context))
            requests = list(batch.evicted.values())

    def _completion(self, written: Written) -> Completion:
        request = written.request
        stops = written.finish_reason == "stop"
        return Completion(
            request_id=request.id,
            sample=written.sample,
            text=self.decode((*request.prefix_token_ids, *written.token_ids)),
            token_ids=written.token_ids,
            finish_reason=written.finish_reason,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=len(written.token_ids) + stops,
            logp=written.logp,
        )

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text as the tokenizer writes it, special tokens left out."""
        return self.encoder.tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


def end_of_turn_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The end tokens of the generation config and of the tokenizer. Raises UserError when there are none."""
    named = model.generation_config.eos_token_id
    ids = {named} if isinstance(named, int) else set(named or ())
    if tokenizer.eos_token_id is not None:
        ids.add(tokenizer.eos_token_id)
    if not ids:
        raise UserError("the checkpoint names no end-of-turn token; set eos_token_id in its generation_config.json")
    return frozenset(ids)


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")
