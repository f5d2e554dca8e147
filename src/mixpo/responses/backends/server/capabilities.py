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
from mixpo.responses.backend import SamplingParams

HELLO = [{"role": "user", "content": "Hello"}]
PROBE = SamplingParams(temperature=1.0, top_k=20, top_p=0.9, max_new_tokens=1)


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

    def options(self, params: SamplingParams, seed: int, n: int = 1) -> dict[str, Any]:
        """The body's fields for `n` samples; the first one's seed."""
        options: dict[str, Any] = {self.limit: params.max_new_tokens, "seed": seed}
        if n > 1:
            options["n"] = n
        if params.logps:
            options["logprobs"] = True
        drawn: dict[str, Any] = {"temperature": params.temperature, "top_p": params.top_p}
        if self.nested:
            # The model's own generation config may hold other values: each parameter is given, 0 and 1 too.
            drawn |= {"do_sample": True, "top_k": params.top_k}
            return options | {"generation_config": json.dumps(drawn if params.temperature else {"do_sample": False})}
        if self.top_k and params.top_k and params.temperature:
            drawn["top_k"] = params.top_k
        return options | drawn

    def check(self, params: SamplingParams) -> None:
        """Raises UserError when the server cannot do what `params` say."""
        if params.top_k and params.temperature and not (self.top_k or self.nested):
            raise UserError("the server does not take top_k; set top_k: 0 to sample from all tokens")
        if params.logps and not self.logps:
            raise UserError("the server gives no log-probabilities; set logps: false")


LIMITS = ("max_tokens", "max_completion_tokens")
DIALECTS = (
    *(Dialect(limit=limit, nested=nested) for limit in LIMITS for nested in (False, True)),
    *(Dialect(limit=limit, top_k=False) for limit in LIMITS),
)
"""In the order they are tried: the first that is not refused is spoken."""


def learn(endpoint: Endpoint, model: str, extra: Mapping[str, Any]) -> Dialect:
    """The server's dialect; `extra` goes into every request. Raises UserError when it refuses all."""
    words = ""
    for dialect, n in itertools.product(DIALECTS, (2, 1)):
        try:
            reply = endpoint.chat(model, HELLO, **dialect.options(PROBE, seed=0, n=n), **extra)
        except Refused as refused:
            words = f"HTTP {refused.status}: {refused.words}"
            continue
        except GaveUp as error:
            raise UserError(f"{endpoint.config.base_url}: {error}; start the server, or check base_url") from error
        return replace(dialect, several=len(reply.choices) > 1, logps=_gives_logps(endpoint, model, dialect, extra))
    raise UserError(
        f"{endpoint.config.base_url} refuses a one-word question ({words}); check model, extra and chat_template"
    )


def _gives_logps(endpoint: Endpoint, model: str, dialect: Dialect, extra: Mapping[str, Any]) -> bool:
    try:
        reply = endpoint.chat(model, HELLO, **dialect.options(replace(PROBE, logps=True), seed=0), **extra)
    except GaveUp:
        return False
    return reply.choices[0].logps is not None
