"""The embedded backend: any image-text-to-text checkpoint, its prompts encoded once, its rows batched continuously."""

import copy
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
from transformers.utils.logging import disable_progress_bar

from mixpo.errors import UserError, first_line
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.models.completions import CompletionTokenizer
from mixpo.models.cpu_memory import return_freed_memory
from mixpo.models.cpu_model import speed_up
from mixpo.models.load import context_of, load_model, load_processor, refuse_other_kinds, refuse_other_vocabulary
from mixpo.models.picture_limits import same_tiles
from mixpo.models.vision import take_single_tokens
from mixpo.records import Dropped
from mixpo.responses.backend import Completion, Request, SamplingParams
from mixpo.responses.backends import canaries
from mixpo.responses.backends.config import BackendConfig
from mixpo.responses.backends.embedded.budget import LEAST, token_budget
from mixpo.responses.backends.embedded.decode import ContinuousBatch
from mixpo.responses.backends.embedded.draw import sampler
from mixpo.responses.backends.embedded.encode import RequestEncoder, encoded_batches
from mixpo.responses.backends.embedded.graphs import Recorder
from mixpo.responses.backends.embedded.kv_cache import Memory
from mixpo.responses.backends.embedded.prefill import attention_windows
from mixpo.responses.backends.embedded.rows import StoppingCriteria, Written
from mixpo.responses.backends.embedded.steps import MOST_ROWS, DecodeSteps, Drawing, PlainSteps, StaticSteps
from mixpo.responses.backends.embedded.uncached import decode_plainly

log = logging.getLogger(__name__)
FAULTS = (ValueError, RuntimeError, ArithmeticError, TypeError, LookupError, AttributeError)
"""What models raise for inputs that are not those they were made for."""


class TransformersBackend:
    """Completes prompts with a model held in this process; its weights are left as they are."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        token_budget: int | Literal["auto"] = "auto",
        share_prompts: bool = True,
        cuda_graphs: bool = True,
    ):
        refuse_other_kinds(model)
        self.model = model.eval()
        speed_up(model)
        take_single_tokens(model)
        return_freed_memory()
        self.encoder = RequestEncoder(processor)
        # The encoder works in a thread of its own, and a fast tokenizer cannot be set up for padding while it decodes.
        self.tokenizer = CompletionTokenizer(copy.deepcopy(self.encoder.tokenizer))
        self.token_budget = token_budget
        self.end_ids = self.encoder.chat.stop_tokens(model.generation_config)
        self.context = context_of(model.config) or 2**31
        self.windows = attention_windows(model) if share_prompts else None
        on_gpu = model.device.type == "cuda"
        self.recorder = Recorder() if on_gpu and cuda_graphs else None
        self.static = on_gpu
        """Whether steps keep their shapes; on a CPU, which has no graphs, that would only be more to compute."""

    @classmethod
    def load(cls, model: str, config: BackendConfig, inputs: ModelInputs = AS_IS) -> "TransformersBackend":
        """From a folder or hub name. Raises UserError when it cannot be loaded or fails a canary."""
        device = _device(config.device)
        dtype = config.dtype
        if dtype == "auto" and device.type == "cpu":
            dtype = "float32"
        # A bar for each load would stand among the steps' own.
        disable_progress_bar()
        processor = load_processor(model, inputs=inputs)
        weights = load_model(model, dtype, inputs.trust_remote_code)
        refuse_other_vocabulary(weights, processor)
        same_tiles(weights, processor)
        weights.to(device)
        backend = cls(weights, processor, config.token_budget, cuda_graphs=config.cuda_graphs)
        if config.canaries:
            backend.check()
        return backend

    def check(self) -> None:
        """Canaries. Raises UserError when the model fails one; one that cannot share prompts decodes plainly."""
        self.encoder.chat.check_stops(self.end_ids)
        plain = TransformersBackend(self.model, self.encoder.chat.processor, self.token_budget, share_prompts=False)
        near = 1e-3 if self.model.dtype == torch.float32 else 0.5
        if self.windows is not None and not self._agrees(plain, near):
            self._do_without(plain, near)
        try:
            canaries.check(self)
        except FAULTS as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise UserError(
                f"{type(self.model).__name__} does not take a question about a picture as its processor gives it "
                f"({first_line(error)}); check that the processor is this checkpoint's own, or sample the model where "
                "it is served (backend: openai_server)"
            ) from error

    def _agrees(self, plain: "TransformersBackend", near: float) -> bool:
        try:
            return canaries.agree(self, plain, near)
        except torch.OutOfMemoryError:
            raise
        except FAULTS:  # if decoding plainly meets it, too, `check` says it
            return False

    def _do_without(self, plain: "TransformersBackend", near: float) -> None:
        """What a canary has found wrong is left out: the graphs or, if that is not it, shared prompts."""
        if self.recorder is not None:
            self.recorder = None
            if self._agrees(plain, near):
                log.warning("CUDA graphs of this model's steps give other results; its steps are not recorded")
                return
        log.warning("this model's attention cannot be shared between samples; one question is decoded at a time")
        self.windows = None

    @torch.inference_mode()
    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order they finish; what a request's sample says does not depend on the others."""
        drawing = Drawing(sampler(params), params.seed, params.logps)
        limits = StoppingCriteria(
            torch.tensor(sorted(self.end_ids), device=self.model.device), params.max_new_tokens, self.context
        )
        for written in self._decode(requests, drawing, limits):
            yield written if isinstance(written, Dropped) else self._completion(written)

    def _decode(
        self, requests: Iterable[Request], drawing: Drawing, limits: StoppingCriteria
    ) -> Iterator[Written | Dropped]:
        budget = token_budget(self.model, self.token_budget)
        if self.windows is None:
            batches = encoded_batches(requests, self.encoder, self.context, most=1)
            yield from decode_plainly(self.model, batches, drawing, limits, budget)
            return
        batches, again = encoded_batches(requests, self.encoder, self.context), list[Request]()
        while True:
            memory = Memory(budget, self.model.device, self.windows, MOST_ROWS if self.static else None)
            batch = ContinuousBatch(self.model, drawing, limits, memory, self._steps(drawing, limits, memory))
            enough = True
            try:
                yield from batch.run(batches)
            except torch.OutOfMemoryError:
                if budget <= LEAST:
                    raise
                enough = False
            again += batch.evicted.values()
            if not enough:
                # Half of what was too much, which may be less than what was allowed.
                budget = max(LEAST, min(budget, batch.tokens or budget) // 2)
                self.token_budget = budget
                log.warning("the GPU's memory does not suffice; going on with a token_budget of %d", budget)
            elif again:
                batches, again = encoded_batches(again, self.encoder, self.context), []
            else:
                return

    def _steps(self, drawing: Drawing, limits: StoppingCriteria, memory: Memory) -> DecodeSteps:
        if self.static:
            return StaticSteps(self.model, drawing, limits.end_ids, memory, self.recorder)
        return PlainSteps(self.model, drawing, limits.end_ids, memory)

    def _completion(self, written: Written) -> Completion:
        request = written.request
        stops = written.finish_reason == "stop"
        whole = (*request.prefix_token_ids, *written.token_ids)
        text = self.decode(whole)
        return Completion(
            request_id=request.id,
            sample=written.sample,
            text=text,
            token_ids=written.token_ids,
            finish_reason=written.finish_reason,
            prompt_tokens=written.prompt_tokens,
            completion_tokens=len(written.token_ids) + stops,
            logp=written.logp,
            thought_open=self.encoder.chat.opens_thought,
            canonical=self.tokenizer.gives_back(whole, text),
        )

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text (`CompletionTokenizer`)."""
        return self.tokenizer.decode(token_ids)


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")
