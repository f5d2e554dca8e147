"""An OpenAI-compatible endpoint: one chat completion with all its attempts, for backends, judges and reward models.

Protocol: `POST <base_url>/chat/completions` of OpenAI's API reference, which vLLM, SGLang, LMDeploy, llama.cpp,
`transformers serve` and commercial services speak too. Replies are not streamed: one comes whole or not at all.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from mixpo.errors import MissingExtra, UserError
from mixpo.values import encodable

T = TypeVar("T")
FAILURES_IN_A_ROW = 3
"""Requests given up one after the other from which on it is the endpoint's fault, not theirs."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most."""
CONNECT_TIMEOUT = 10.0
"""Seconds until a connection must stand."""
WORDS_KEPT = 300
"""Characters of an endpoint's complaint that are shown."""
CLOSED_DOORS = (401, 402, 403, 404)
"""Statuses that no other request would change: key, quota, permission, address or model."""


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Where an endpoint is, and how much patience it gets."""

    RUNTIME: ClassVar[tuple[str, ...]] = ("base_url", "api_key_env", "concurrency", "timeout", "attempts", "backoff")

    base_url: str
    """The endpoint, for example `http://localhost:8000/v1`."""
    api_key_env: str = ""
    """The environment variable that holds the key, which is stored nowhere; empty: the endpoint needs none."""
    concurrency: int = 4
    """Requests in flight at a time."""
    timeout: float = 60.0
    """Seconds for one attempt."""
    attempts: int = 6
    """Attempts per request when the endpoint is busy, fails or does not answer in time."""
    backoff: float = 1.0
    """Seconds: the pause after attempt k is drawn from [0, backoff * 2^k], and not below what the endpoint asks for."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("base_url must begin with http:// or https:// and name a host")
        if address.username or address.password or address.query:
            raise ValueError("base_url must not hold a password or a query; put the key into an environment variable")
        if self.api_key_env and not re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env, re.ASCII):
            raise ValueError("api_key_env is the name of an environment variable, not the key itself")
        if min(self.concurrency, self.attempts) < 1 or self.timeout <= 0 or self.backoff < 0:
            raise ValueError("concurrency, attempts and timeout must be above 0, backoff not below")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the completions in a reply."""

    text: str
    """What was said, without the thought where the endpoint splits it off."""
    finish_reason: str
    """As the endpoint says it: "stop", "length", "content_filter" …; empty when it says nothing."""
    logps: tuple[float, ...] | None
    """Log-probability of each token, when asked for and given."""
    reasoning: str = ""
    """The thought before it, where the endpoint splits it off, without its tags."""
    token_ids: tuple[int, ...] = ()
    """All that was written, thought, tags and end token included; when asked for and given."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an endpoint answers to one request."""

    choices: tuple[Choice, ...]
    """At least one."""
    prompt_tokens: int
    completion_tokens: int
    """Of all choices together."""


class GaveUp(Exception):
    """One request got no reply; the message says why."""


class Refused(GaveUp):
    """The endpoint will not answer this request, however often it is asked (HTTP 4xx)."""

    def __init__(self, status: int, words: str):
        super().__init__(f"HTTP {status}")
        self.status = status
        self.words = words
        """What the endpoint says about it, without the key."""


class Endpoint:
    """Asks for chat completions, from any number of threads."""

    def __init__(self, config: EndpointConfig):
        """Raises MissingExtra without openai and tenacity, UserError when the key's variable is not set."""
        try:
            import openai
            import tenacity
        except ImportError as error:
            raise MissingExtra("openai or tenacity", "llm") from error
        self.config = config
        self.key = os.environ.get(config.api_key_env, "") if config.api_key_env else "none"
        if not self.key:
            raise UserError(f"the environment variable {config.api_key_env} is not set; put the endpoint's key into it")
        timeout = openai.Timeout(config.timeout, connect=min(CONNECT_TIMEOUT, config.timeout))
        self.client = openai.OpenAI(base_url=config.base_url, api_key=self.key, timeout=timeout, max_retries=0)
        self.stop = threading.Event()
        """Set: no further attempts, and pauses end at once."""
        self.retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_passing),
            wait=_pause(tenacity.wait_random_exponential(multiplier=config.backoff, max=LONGEST_PAUSE)),
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(config.attempts), tenacity.stop_when_event_set(self.stop)
            ),
            sleep=tenacity.sleep_using_event(self.stop),
            reraise=True,
        )

    def chat(self, model: str, messages: list[dict[str, Any]], **options: Any) -> Reply:
        """`ask` for the completions themselves."""
        return self.ask(model, messages, read_reply, options)

    def ask(
        self, model: str, messages: list[dict[str, Any]], read: Callable[[Any], T], options: Mapping[str, Any]
    ) -> T:
        """One request, asked again while that may help; what `read` makes of the reply's JSON.

        `options` are further fields of the body; `read` raises ValueError for JSON that is no reply. Raises Refused or
        GaveUp; UserError when the endpoint refuses everybody (key, address, model).
        """
        import openai

        try:
            return self.retrying.copy()(self._attempt, model, messages, read, options)
        except openai.APIStatusError as error:
            # The endpoint's own words are left out: some repeat part of the key.
            if error.status_code in CLOSED_DOORS:
                raise UserError(
                    f"{self.config.base_url} refuses the request for model {model!r} (HTTP {error.status_code}); "
                    f"check base_url, model and the key in {self.config.api_key_env or 'api_key_env'}"
                ) from error
            if _passing(error):
                raise GaveUp(f"HTTP {error.status_code}") from error
            raise Refused(error.status_code, self._words(error)) from error
        except openai.APIConnectionError as error:
            late = isinstance(error, openai.APITimeoutError)
            raise GaveUp("no reply in time" if late else "no connection") from error
        except ValueError as error:
            raise GaveUp("the endpoint's reply is no chat completion") from error

    def _attempt(self, model: str, messages: Any, read: Callable[[Any], T], options: Mapping[str, Any]) -> T:
        create = self.client.chat.completions.with_raw_response.create
        # The fields of the body that openai's client does not know go the same way as those it knows.
        return read(create(model=model, messages=messages, extra_body=options).http_response.json())

    def models(self) -> tuple[str, ...]:
        """Names of the models served; empty when the endpoint does not tell."""
        import openai

        try:
            rows = self.client.models.with_raw_response.list().http_response.json()["data"]
            return tuple(str(row["id"]) for row in rows)
        except (openai.OpenAIError, ValueError, LookupError, TypeError):
            return ()

    def _words(self, error: Any) -> str:
        """The sentence in an error's body, on one line, without the key."""
        body = error.body if isinstance(error.body, Mapping) else {}
        given = body.get("message") or body.get("detail") or error.response.text
        words = " ".join(str(given).split())
        if self.config.api_key_env:
            words = words.replace(self.key, "…")
        return words if len(words) <= WORDS_KEPT else f"{words[: WORDS_KEPT - 1]}…"


def read_reply(row: Any) -> Reply:
    """A chat completion's JSON. Raises ValueError when it is anything else."""
    try:
        choices = tuple(_choice(choice) for choice in sorted(row["choices"], key=lambda choice: choice.get("index", 0)))
        usage = row.get("usage") or {}
        counts = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no chat completion ({error!r})") from error
    if not choices:
        raise ValueError("no choice")
    return Reply(choices, *counts)


def _choice(row: Mapping[str, Any]) -> Choice:
    message = row["message"]
    said, thought = _parts(message.get("content"))
    content = (row.get("logprobs") or {}).get("content")
    return Choice(
        text=encodable(said),
        finish_reason=row.get("finish_reason") or "",
        logps=None if content is None else tuple(float(token["logprob"]) for token in content),
        reasoning=encodable(message.get("reasoning_content") or message.get("reasoning") or thought),
        token_ids=tuple(map(int, row.get("token_ids") or ())),
    )


def _parts(content: Any) -> tuple[str, str]:
    """What a message says and what it thinks: a text, or a list of parts of which some are `thinking` (Mistral)."""
    if not isinstance(content, list):
        return content or "", ""
    said = "".join(part["text"] for part in content if part["type"] == "text")
    thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
    return said, "".join(one if isinstance(one, str) else _parts(one)[0] for one in thoughts)


def _passing(error: BaseException) -> bool:
    """Whether another attempt may help: too many requests, a fault of the server, no connection, out of time, a
    reply that is none."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 425, 429) or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError | ValueError)


def _pause(backoff: Callable[[Any], float]) -> Callable[[Any], float]:
    """Seconds before the next attempt: the backoff, or what `Retry-After` asks for if longer."""

    def seconds(state: Any) -> float:
        answer = getattr(state.outcome.exception(), "response", None)
        asked = retry_after(answer.headers.get("retry-after", "")) if answer is not None else 0.0
        return min(LONGEST_PAUSE, max(backoff(state), asked))

    return seconds


def retry_after(header: str) -> float:
    """Seconds that `Retry-After` (RFC 9110, 10.2.3) asks for: a number, or a date; 0 when it is neither."""
    if header.isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return 0.0
