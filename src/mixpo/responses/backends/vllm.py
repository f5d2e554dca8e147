"""vLLM's engine in this process: the samples of a request share its prefix, which stays cached for the next one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mixpo.errors import DataError, MissingExtra, UserError, first_line
from mixpo.keys import refuse_keys
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.models.chat import Chat
from mixpo.models.picture_limits import PINPOINTS, limits_of
from mixpo.records import Dropped, DropReason, FinishReason
from mixpo.responses.backend import (
    PLAIN,
    Completion,
    Request,
    SamplingParams,
    consecutive,
    engine_seed,
    no_videos,
    reserved_token,
)
from mixpo.responses.backends import canaries

AHEAD = 4
"""Times as many samples are given to the engine as it decodes together: it must never wait for prompts."""
REFUSALS = ("VLLMValidationError", "VLLMClientError")
"""Names of what vLLM raises for a request that it cannot take (`vllm.exceptions`): early versions have neither, in some
the first is a ValueError, in later ones it comes from the second, which is none."""


@dataclass(frozen=True, kw_only=True)
class VLLMConfig:
    """How vLLM's engine is set up; the names are vLLM's."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("max_num_seqs", "gpu_memory_utilization", "tensor_parallel_size")

    max_model_len: int | None = None
    """Longest prompt and completion together, in tokens; null: the model's own limit."""
    max_num_seqs: int = 256
    """Samples decoded together at most."""
    gpu_memory_utilization: float = 0.9
    """Share of the device's memory that the engine takes."""
    tensor_parallel_size: int = 1
    """Devices that the model is spread over."""
    images: int = 8
    """Images that one question has at most."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `vllm.LLM`, for example `{quantization: fp8}`."""

    def __post_init__(self) -> None:
        if min(self.max_num_seqs, self.tensor_parallel_size, self.images) < 1:
            raise ValueError("max_num_seqs, tensor_parallel_size and images must be at least 1")
        refuse_keys(self.extra, ("extra",))

    @property
    def gpus(self) -> int:
        """Devices that one engine takes."""
        return self.tensor_parallel_size * int(self.extra.get("pipeline_parallel_size", 1))


class VLLMBackend:
    """Completes prompts with vLLM; prompts are written by the checkpoint's own chat template."""

    def __init__(self, engine: Any, chat: Chat, end_ids: frozenset[int], most: int = 256):
        """`engine`: vLLM's `LLMEngine`; `most`: samples it decodes together."""
        self.engine, self.chat, self.end_ids, self.most = engine, chat, end_ids, most
        self.numbers = 0
        """Requests given to the engine so far: their names there."""

    @classmethod
    def load(
        cls, model: str, config: VLLMConfig, inputs: ModelInputs = AS_IS, *, dtype: str = "auto",
        check: bool = True,
    ) -> "VLLMBackend":  # fmt: skip
        """From a folder or hub name. Raises UserError when it cannot be loaded or fails a canary."""
        try:
            from vllm import LLM
        except ImportError as error:
            raise MissingExtra("vllm", "vllm") from error
        from transformers import GenerationConfig

        from mixpo.models.found import found
        from mixpo.models.load import load_processor

        model = found(model)
        chat = Chat(load_processor(model, inputs=inputs))
        try:
            end_ids = chat.stop_tokens(GenerationConfig.from_pretrained(model))
            llm = LLM(
                model=model,
                dtype=dtype,
                max_model_len=config.max_model_len,
                max_num_seqs=config.max_num_seqs,
                gpu_memory_utilization=config.gpu_memory_utilization,
                tensor_parallel_size=config.tensor_parallel_size,
                limit_mm_per_prompt={"image": config.images},
                trust_remote_code=inputs.trust_remote_code,
                **{"enable_prefix_caching": True, "disable_log_stats": True, **limited(chat.processor, config.extra)},
            )
        except (OSError, ValueError) as error:
            reason = first_line(error)
            raise UserError(f"model {model!r} cannot be loaded by vLLM ({reason}); check the path") from error
        backend = cls(llm.llm_engine, chat, end_ids, config.max_num_seqs)
        if check:
            chat.check_stops(end_ids)
            canaries.check(backend)
            canaries.draws(backend, top_k=True)
        return backend

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order they finish; consecutive samples of a request finish together."""
        coming = iter(requests)
        running: dict[str, tuple[Request, tuple[int, ...]]] = {}
        more = True
        while more or running:
            while more and sum(len(samples) for _, samples in running.values()) < AHEAD * self.most:
                request = next(coming, None)
                more = request is not None
                if request is not None:
                    yield from self._add(request, params, running)
            # With nothing to do a step would wait for ever.
            for output in self.engine.step() if running else ():
                if output.finished:
                    yield from self._completions(*running.pop(output.request_id), output, params)

    def _add(self, request: Request, params: SamplingParams, running: dict[str, Any]) -> Iterator[Dropped]:
        """Gives a request to the engine; what it cannot take is dropped."""
        if request.videos:
            yield no_videos(request, "the vllm backend")
            return
        if reserved := self.chat.image_tokens.intersection(request.prefix_token_ids):
            yield reserved_token(request.id, self.decode([min(reserved)]))
            return
        try:
            prompt: dict[str, Any] = {"prompt_token_ids": self._prompt_ids(request)}
        except DataError as error:
            yield Dropped(id=request.id, step="sample", reason=DropReason.UNSUPPORTED, detail=str(error))
            return
        if request.images:
            prompt["multi_modal_data"] = {"image": self.chat.pictures(request.images)}
        added: list[str] = []
        for samples in consecutive(request.samples):
            name = str(self.numbers)
            self.numbers += 1
            sampling = self._sampling(params, request, samples)
            try:
                self.engine.add_request(name, prompt, sampling)
            except Exception as error:
                if not _refuses(error):
                    raise
                self.engine.abort_request(added)
                for other in added:
                    del running[other]
                reason = first_line(error)
                long = "max" in reason and "len" in reason
                dropped = DropReason.PROMPT_TOO_LONG if long else DropReason.BAD_IMAGE
                yield Dropped(id=request.id, step="sample", reason=dropped, detail=reason)
                return
            running[name] = request, samples
            added.append(name)

    def _prompt_ids(self, request: Request) -> list[int]:
        """The chat template's tokens and the prefix; one placeholder for each image, which vLLM widens."""
        prompt = self.chat.prompt_ids(self.chat.render(request.messages, len(request.images)))
        return [*prompt, *request.prefix_token_ids]

    def _sampling(self, params: SamplingParams, request: Request, samples: tuple[int, ...]) -> Any:
        import vllm
        from vllm.sampling_params import RequestOutputKind

        return vllm.SamplingParams(
            n=len(samples),
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            max_tokens=params.max_new_tokens,
            seed=engine_seed(params.seed, request.id, samples[0]),
            stop_token_ids=sorted(self.end_ids),
            **PLAIN,
            logprobs=0 if params.logps else None,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _completions(
        self, request: Request, samples: tuple[int, ...], output: Any, params: SamplingParams
    ) -> Iterator[Completion]:
        for sample, choice in zip(samples, sorted(output.outputs, key=lambda choice: choice.index), strict=True):
            written = tuple(choice.token_ids)
            stops = bool(written) and written[-1] in self.end_ids
            kept = written[:-1] if stops else written
            whole = (*request.prefix_token_ids, *kept)
            text = self.decode(whole)
            yield Completion(
                request_id=request.id,
                sample=sample,
                text=text,
                token_ids=kept,
                finish_reason=FinishReason.STOP if stops else FinishReason.LENGTH,
                prompt_tokens=len(output.prompt_token_ids),
                completion_tokens=len(written),
                logp=choice.cumulative_logprob if params.logps else None,
                thought_open=self.chat.opens_thought,
                canonical=self.chat.completions.gives_back(whole, text),
            )

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text (`mixpo.models.completions`)."""
        return self.chat.completions.decode(token_ids)


def limited(processor: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    """`extra`, and the processor's limits on pictures as arguments of `vllm.LLM`; what `extra` says itself stays."""
    settings = limits_of(processor).settings
    given = {"mm_processor_kwargs": settings} if settings else {}
    if PINPOINTS in settings:  # the model counts its tiles by them, too
        given["hf_overrides"] = {PINPOINTS: settings[PINPOINTS]}
    return {**extra, **{name: {**values, **extra.get(name, {})} for name, values in given.items()}}


def _refuses(error: Exception) -> bool:
    """Whether the engine says that it cannot take this request, rather than that something is wrong with the engine."""
    return isinstance(error, ValueError) or any(kind.__name__ in REFUSALS for kind in type(error).__mro__)
