"""Any OpenAI-compatible server as a backend: vLLM, SGLang, LMDeploy, `transformers serve`, commercial ones.

Requests are sent side by side, asked again when the server is busy or fails, and dropped only when the server
says that it will never answer this one. What the server understands is found out at start (`dialect`).
"""

import itertools
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mixpo.endpoint import FAILURES_IN_A_ROW, Endpoint, EndpointConfig, GaveUp, Refused
from mixpo.errors import UserError
from mixpo.keys import refuse_keys
from mixpo.model_inputs import AS_IS, ModelInputs
from mixpo.models.checked import loading, reason_of, refuse_crafted
from mixpo.models.found import found
from mixpo.models.template_options import refuse_unknown
from mixpo.records import Dropped, DropReason, FinishReason
from mixpo.replies import Reply
from mixpo.responses.backend import Completion, Request, SamplingParams, engine_seed, no_videos
from mixpo.responses.backends import canaries
from mixpo.responses.backends.server.capabilities import HELLO, TOKEN_IDS, Dialect, learn
from mixpo.responses.backends.server.jobs import Job, Jobs, ServerRequest
from mixpo.responses.backends.server.thread_pool import Crew
from mixpo.responses.backends.server.transcript import Reader
from mixpo.videos import Frames

log = logging.getLogger(__name__)
MOST_FAILURES = 30
"""Requests given up one after the other, though the server answers a short question, from which on nothing is dropped
any more: the recipe asks for what this server cannot do."""
TOO_LONG = re.compile(
    r"(context|model|sequence|input|prompt|max_tokens).{0,60}(length|long|large|window|exceed|limit)"
    r"|too many tokens|longer than|max_model_len",
    re.IGNORECASE | re.DOTALL,
)
FINISHES = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


@dataclass(frozen=True, kw_only=True)
class ServerConfig(EndpointConfig):
    """An OpenAI-compatible server."""

    model: str = ""
    """The model's name at the server; empty: the step's `model`, or the only one that is served."""
    tokenizer: str = ""
    """Folder or hub name of the model's tokenizer, for `token_ids`, the tags of its thoughts and DropoutNTP; empty: the
    step's `model` where that is a folder on this machine, else responses have no token ids."""
    concurrency: int = 32
    """Requests in flight at a time."""
    timeout: float = 600.0
    """Seconds for one attempt."""
    choices: int = 32
    """Most samples asked for in one request, where the server gives several."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of every request, as the server knows them: `{min_p: 0.1}`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.choices < 1:
            raise ValueError("choices must be at least 1")
        refuse_keys(self.extra, ("extra",))


class OpenAIServerBackend:
    """Completes prompts through a server; a response is the server's, its seed fixed by question and sample."""

    def __init__(self, endpoint: Endpoint, model: str, dialect: Dialect, config: ServerConfig, tokenizer: Any = None):
        self.endpoint, self.model, self.dialect, self.config = endpoint, model, dialect, config
        self.reader = Reader(tokenizer, config.extra.get("chat_template_kwargs") or {})
        # Steps decode in a thread of their own, and a fast tokenizer does one thing at a time.
        self.lock = threading.Lock()
        self.images = AS_IS.images
        """Limits on the size of the pictures that are sent."""
        self.trusts_prefixes = False
        """Whether the server has been seen to continue a prefix, or need not prove it."""

    @classmethod
    def load(
        cls, model: str, config: ServerConfig, inputs: ModelInputs = AS_IS, *, check: bool = True
    ) -> "OpenAIServerBackend":
        """The server's `model`. Raises UserError when it does not answer, lacks the model or fails a canary, and for
        what of `inputs` cannot be said to it."""
        endpoint = Endpoint(config)
        name = config.model or served_name(model, endpoint)
        own = config.tokenizer or (model if Path(model).is_dir() else "")
        tokenizer = load_tokenizer(own, inputs.trust_remote_code)
        config = asked_with(inputs, config, tokenizer)
        dialect = learn(endpoint, name, config.extra)
        if tokenizer is None:
            dialect = dialect.without(TOKEN_IDS)
        backend = cls(endpoint, name, dialect, config, tokenizer)
        backend.images = inputs.images
        backend.trusts_prefixes = not check
        if check:
            canaries.check(backend, logps=backend.dialect.logps, prefixes=False)
            canaries.draws(backend, top_k=backend.dialect.top_k or backend.dialect.nested)
        return backend

    def complete(self, requests: Iterable[Request], params: SamplingParams) -> Iterator[Completion | Dropped]:
        """In the order they finish. Raises UserError when the server fails on one request after the other."""
        self.dialect.check(params)
        # vLLM refuses to give several choices of which there can be only one.
        several = self.dialect.several and params.temperature > 0
        filmed: list[Request] = []
        jobs = Jobs(map(self._asked, _without_videos(requests, filmed)), self.config.choices if several else 1)
        crew = Crew[Job, Reply](lambda job: self._ask(job, params), self.config.concurrency)
        try:
            while True:
                while not crew.full and (job := jobs.next()):
                    crew.give(job)
                while filmed:
                    yield no_videos(filmed.pop(), "a server")
                if not crew.busy:
                    return
                job, reply = crew.take()
                if isinstance(reply, GaveUp):
                    yield from self._settle_failure(job, reply, jobs)
                elif isinstance(reply, BaseException):
                    raise reply
                else:
                    yield from self._settle(job, reply, jobs, params)
        except UserError:
            self.endpoint.stop.set()
            raise
        finally:
            crew.leave()

    def _asked(self, request: Request) -> ServerRequest:
        images = (self.images.fitted(image) for image in request.images if not isinstance(image, Frames))
        request = replace(request, images=tuple(images))
        if not request.prefix_token_ids:
            return ServerRequest(request, "")
        if not self.trusts_prefixes:
            self.trusts_prefixes = True
            canaries.continues_prefixes(self, logps=self.dialect.logps)
        return ServerRequest(request, self.decode(request.prefix_token_ids))

    def _ask(self, job: Job, params: SamplingParams) -> Reply:
        """One HTTP request with its attempts. Raises Refused, GaveUp or UserError."""
        seed = engine_seed(params.seed, job.asked.request.id, job.samples[0])
        options = self.dialect.options(params, seed, len(job.samples)) | self.config.extra
        if job.asked.prefix:
            options |= {"continue_final_message": True, "add_generation_prompt": False}
        try:
            return self.endpoint.chat(self.model, job.asked.messages, **options)
        except Refused as refused:
            if not TOO_LONG.search(refused.words):
                raise
            # Prompt and limit together may be what is too long: without a limit it is what the context has left.
            del options[self.dialect.limit]
            return self.endpoint.chat(self.model, job.asked.messages, **options)

    def _settle(self, job: Job, reply: Reply, jobs: Jobs, params: SamplingParams) -> Iterator[Completion | Dropped]:
        """Completions for as many samples as there are whole choices; the other samples are asked for again."""
        jobs.failures, jobs.answered = 0, True
        whole = [choice for choice in reply.choices if choice.finish_reason in FINISHES][: len(job.samples)]
        with self.lock:
            read = [self.reader.read(one, job.asked.prefix, job.asked.request.prefix_token_ids) for one in whole]
        counts = share(reply.completion_tokens, [len(one.token_ids or one.text) for one in read])
        for sample, choice, one, count in zip(job.samples, whole, read, counts):
            if params.logps and choice.logps is None:
                raise UserError(f"{self.config.base_url} gave a reply without log-probabilities; set logps: false")
            yield Completion(
                request_id=job.asked.request.id,
                sample=sample,
                text=one.text,
                token_ids=one.token_ids,
                finish_reason=FINISHES[choice.finish_reason],
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=count if choice.logps is None else len(choice.logps),
                logp=sum(choice.logps) if params.logps and choice.logps is not None else None,
                thought_open=self.reader.thought_open,
                canonical=one.canonical,
            )
        missing = job.samples[len(whole) :]
        if missing and whole:
            jobs.again(replace(job, samples=missing, round=0))
        elif missing:
            words = ", ".join(sorted({repr(choice.finish_reason) for choice in reply.choices}))
            yield from jobs.retry(job, f"it ended the completion with {words}", transient=False)

    def _settle_failure(self, job: Job, error: GaveUp, jobs: Jobs) -> Iterator[Dropped]:
        if isinstance(error, Refused):
            yield from jobs.drop(job, _reason(error), f"the server refuses it (HTTP {error.status}): {error.words}")
            return
        jobs.failures += 1
        if jobs.failures >= MOST_FAILURES or (jobs.failures >= FAILURES_IN_A_ROW and not self._answers()):
            raise UserError(
                f"{self.config.base_url}: {jobs.failures} requests in a row got no reply ({error}); what was sampled "
                "is kept: see to the server (or give it more time: server.timeout), then run again"
            ) from error
        yield from jobs.retry(job, str(error), transient=True)

    def _answers(self) -> bool:
        """Whether the server still answers anything: if so, what it fails on is the requests' own fault."""
        try:
            self.endpoint.chat(self.model, HELLO, **{self.dialect.limit: 1}, **self.config.extra)
        except GaveUp:
            return False
        return True

    def decode(self, token_ids: Sequence[int]) -> str:
        """The tokens' text. Raises UserError without a tokenizer."""
        with self.lock:
            return self.reader.decode(token_ids)


def _without_videos(requests: Iterable[Request], filmed: list[Request]) -> Iterator[Request]:
    """The requests that show no video; the others go to `filmed`."""
    for request in requests:
        if request.videos:
            filmed.append(request)
        else:
            yield request


def served_name(model: str, endpoint: Endpoint) -> str:
    """What the server calls the model. Raises UserError when it serves several and none of this name."""
    names = endpoint.models()
    if not names or model in names:
        return model
    if len(names) == 1:
        return names[0]
    raise UserError(
        f"{endpoint.config.base_url} serves no model {model!r}; set server.model to one of {', '.join(names[:20])}"
    )


def load_tokenizer(name: str, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a folder or hub name; None for an empty name. Raises UserError when it cannot be loaded."""
    if not name:
        return None
    from transformers import AutoTokenizer

    try:
        path = found(name)
        refuse_crafted(path, trust_remote_code)
        with loading(path):
            return AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
    except UserError as error:
        reason = reason_of(error.__cause__ or error)
        raise UserError(f"tokenizer {name!r} cannot be loaded ({reason}); check server.tokenizer") from error


def asked_with(inputs: ModelInputs, config: ServerConfig, tokenizer: Any) -> ServerConfig:
    """The config whose `extra` has the chat template's options; what it says itself stays.

    Raises UserError for an option that the tokenizer's template (where it is known here) does not ask for, and for
    `images.max_tiles`, unless `extra` has `mm_processor_kwargs`: no request of the protocol says it. For models of
    several kinds both are warnings.
    """
    template = getattr(tokenizer, "chat_template", None)
    try:
        if isinstance(template, str):
            refuse_unknown(template, inputs.chat_template)
        if inputs.images.max_tiles is not None and "mm_processor_kwargs" not in config.extra:
            raise UserError(
                "images.max_tiles: a server decides itself how it cuts pictures into tiles; say it there (vLLM's "
                "takes it in server.extra: `{mm_processor_kwargs: {max_patches: 6}}`), or say max_pixels"
            )
    except UserError as error:
        if inputs.strict:
            raise
        log.warning("%s: %s", config.base_url, error)
    if not inputs.chat_template:
        return config
    own = config.extra.get("chat_template_kwargs", {})
    return replace(config, extra={**config.extra, "chat_template_kwargs": {**inputs.chat_template, **own}})


def share(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of a whole number in proportion to weights that add up to it: servers count all choices together.

    share(10, [1, 1, 1]) is [4, 3, 3].
    """
    bounds = [0]
    sums = [sum(weights[: number + 1]) + number + 1 for number in range(len(weights))]
    bounds += [-(-total * part // sums[-1]) for part in sums]
    return [after - before for before, after in itertools.pairwise(bounds)]


def _reason(refused: Refused) -> DropReason:
    if TOO_LONG.search(refused.words):
        return DropReason.PROMPT_TOO_LONG
    return DropReason.BAD_IMAGE if "image" in refused.words.lower() else DropReason.REFUSED
