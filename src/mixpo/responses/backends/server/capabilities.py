"""What an OpenAI-compatible server understands, found out by asking it a few one-token questions.

They differ: some ignore `n`, some do not know `top_k`, newer commercial ones rename `max_tokens`, and
`transformers serve` takes sampling parameters as a JSON string only. A server that refuses a field says so
(HTTP 4xx); one that ignores it gives itself away by its reply.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mixpo.endpoint import Endpoint, GaveUp, Refused
from mixpo.errors import UserError
from mixpo.replies import Reply
from mixpo.responses.backend import PLAIN, SamplingParams

HELLO = [{"role": "user", "content": "Hello"}]
PROBE = SamplingParams(temperature=1.0, top_k=20, top_p=0.9, max_new_tokens=1)
TOKEN_IDS = "return_token_ids"
FIELDS: dict[str, Any] = {
    **PLAIN,
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "separate_reasoning": False,
    TOKEN_IDS: True,
}
"""Fields of vLLM, SGLang and others that a server is given as far as it takes them: nothing changes the probabilities
(vLLM would take what the checkpoint's `generation_config` says), and the text is what the model wrote, with special
tokens and thought (`separate_reasoning` is SGLang's; vLLM has no such field, there the tokens say it)."""
ALL_TOKENS = (-1, 0)
"""What servers want to be told as `top_k` for all tokens: vLLM and SGLang -1, others 0."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one server wants its requests."""

    limit: str = "max_tokens"
    """The field that holds the most tokens of a completion."""
    top_k: bool = True
    """Whether `top_k` is a field of the body."""
    nested: bool = False
    """Whether sampling parameters go into `generation_config`, a JSON string (`transformers serve`)."""
    several: bool = True
    """Whether one request gives `n` choices."""
    logps: bool = True
    """Whether choices come with log-probabilities."""
    all_tokens: int | None = -1
    """The `top_k` that means all tokens; None: the field is left out then."""
    fields: tuple[str, ...] = tuple(FIELDS)
    """Those of `FIELDS` that it takes."""

    def options(self, params: SamplingParams, seed: int, n: int = 1) -> dict[str, Any]:
        """The body's fields for `n` samples; the first one's seed."""
        options: dict[str, Any] = {self.limit: params.max_new_tokens, "seed": seed}
        options |= {name: FIELDS[name] for name in self.fields}
        if n > 1:
            options["n"] = n
        if params.logps:
            options["logprobs"] = True
        drawn: dict[str, Any] = {"temperature": params.temperature, "top_p": params.top_p}
        if self.nested:
            # The model's own generation config may hold other values: each parameter is given, 0 and 1 too.
            drawn |= {"do_sample": True, "top_k": params.top_k, "min_p": 0.0}
            if not params.temperature:
                drawn = {"do_sample": False}
            return options | {"generation_config": json.dumps({**drawn, "repetition_penalty": 1.0})}
        top_k = params.top_k or self.all_tokens
        if self.top_k and top_k is not None and params.temperature:
            drawn["top_k"] = top_k
        return options | drawn

    def without(self, *names: str) -> "Dialect":
        """The same without some of the `FIELDS`."""
        return replace(self, fields=tuple(name for name in self.fields if name not in names))

    def check(self, params: SamplingParams) -> None:
        """Raises UserError when the server cannot do what `params` say."""
        if params.top_k and params.temperature and not (self.top_k or self.nested):
            raise UserError("the server does not take top_k; set top_k: 0 to sample from all tokens")
        if params.logps and not self.logps:
            raise UserError("the server gives no log-probabilities; set logps: false")


LIMITS = ("max_tokens", "max_completion_tokens")
DIALECTS = (
    *(Dialect(limit=limit, nested=nested, fields=()) for limit in LIMITS for nested in (False, True)),
    *(Dialect(limit=limit, top_k=False, fields=()) for limit in LIMITS),
)
"""In the order they are tried: the first that is not refused is spoken."""


def learn(endpoint: Endpoint, model: str, extra: Mapping[str, Any]) -> Dialect:
    """The server's dialect; `extra` goes into every request. Raises UserError when it refuses all."""
    words = ""
    for dialect, n in itertools.product(DIALECTS, (2, 1)):
        try:
            reply = endpoint.chat(model, HELLO, **{**dialect.options(PROBE, seed=0, n=n), **extra})
        except Refused as refused:
            words = f"HTTP {refused.status}: {refused.words}"
            continue
        except GaveUp as error:
            raise UserError(f"{endpoint.config.base_url}: {error}; start the server, or check base_url") from error
        several = len(reply.choices) > 1
        logps = (found := _asked(endpoint, model, dialect, extra, logps=True)) and found.choices[0].logps is not None
        return replace(_with_fields(endpoint, model, dialect, extra), several=several, logps=bool(logps))
    raise UserError(
        f"{endpoint.config.base_url} refuses a one-word question ({words}); check model, extra and chat_template"
    )


def _with_fields(endpoint: Endpoint, model: str, dialect: Dialect, extra: Mapping[str, Any]) -> Dialect:
    """The dialect with the further fields that the server does not refuse, and its word for all tokens."""
    if not _asked(endpoint, model, replace(dialect, fields=tuple(FIELDS)), extra):
        taken = (name for name in FIELDS if _asked(endpoint, model, replace(dialect, fields=(name,)), extra))
        dialect = replace(dialect, fields=tuple(taken))
    else:
        dialect = replace(dialect, fields=tuple(FIELDS))
    if not dialect.top_k or dialect.nested:
        return dialect
    words = (word for word in ALL_TOKENS if _asked(endpoint, model, replace(dialect, all_tokens=word), extra, top_k=0))
    return replace(dialect, all_tokens=next(words, None))


def _asked(endpoint: Endpoint, model: str, dialect: Dialect, extra: Mapping[str, Any], **changes: Any) -> Reply | None:
    """The reply to a question in a dialect; None when there is none."""
    try:
        return endpoint.chat(model, HELLO, **{**dialect.options(replace(PROBE, **changes), seed=0), **extra})
    except GaveUp:
        return None
