"""An OpenAI-compatible endpoint: one chat completion with all its attempts, for backends, judges and reward models.

Protocol: `POST <base_url>/chat/completions` of OpenAI's API reference, which vLLM, SGLang, LMDeploy, llama.cpp,
`transformers serve` and commercial services speak too. Replies are not streamed: one comes whole or not at all. A
server is not trusted: a reply has a limit on its size and on all of its time, and what it repeats of the key is hidden.
"""

import asyncio
import json
import logging
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from mixpo.errors import MissingExtra, UserError
from mixpo.keys import is_secret, without_key
from mixpo.replies import Reply, read_reply

T = TypeVar("T")
FAILURES_IN_A_ROW = 3
"""Requests given up one after the other from which on it is the endpoint's fault, not theirs."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most."""
CONNECT_TIMEOUT = 10.0
"""Seconds until a connection must stand."""
WORDS_KEPT = 300
"""Characters of an endpoint's complaint that are shown."""
CLOSED_DOORS = (301, 302, 303, 307, 308, 401, 402, 403, 404)
"""Statuses that no other request would change: another address, key, quota, permission, model."""
MB = 10**6
PACKED = re.compile("gzip|deflate|br|zstd|compress")
"""Content codings that make a reply larger where it is read; others (`utf-8`, as some servers say) are none."""
LONGEST_NAME = 1_000
"""Characters of a served model's name."""
FIRST = threading.Lock()
"""Held while the loop begins that requests run in."""


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Where an endpoint is, and how much patience it gets."""

    RUNTIME: ClassVar[tuple[str, ...]] = (
        "base_url",
        "api_key_env",
        "concurrency",
        "timeout",
        "attempts",
        "backoff",
        "max_reply_mb",
    )

    base_url: str
    """The endpoint, for example `http://localhost:8000/v1`."""
    api_key_env: str = ""
    """The environment variable that holds the key, which is stored nowhere; empty: the endpoint needs none."""
    concurrency: int = 4
    """Requests in flight at a time."""
    timeout: float = 60.0
    """Seconds for one attempt, from the connection to the reply's last byte."""
    attempts: int = 6
    """Attempts per request when the endpoint is busy, fails or does not answer in time."""
    backoff: float = 1.0
    """Seconds: the pause after attempt k is drawn from [0, backoff * 2^k], and not below what the endpoint asks for."""
    max_reply_mb: int = 64
    """Megabytes that a reply may have; of a larger one the rest is not read, and it counts as none."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ValueError("base_url must begin with http:// or https:// and name a host")
        if address.username or address.password or address.query or address.fragment:
            raise ValueError("base_url must not hold a password or a query; put the key into an environment variable")
        if self.api_key_env and not re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env, re.ASCII):
            raise ValueError("api_key_env is the name of an environment variable, not the key itself")
        if min(self.concurrency, self.attempts, self.max_reply_mb) < 1 or self.timeout <= 0 or self.backoff < 0:
            raise ValueError("concurrency, attempts, timeout and max_reply_mb must be above 0, backoff not below")


class GaveUp(Exception):
    """One request got no reply; the message says why."""


class Refused(GaveUp):
    """The endpoint will not answer this request, however often it is asked (HTTP 4xx)."""

    def __init__(self, status: int, words: str):
        super().__init__(f"HTTP {status}")
        self.status = status
        self.words = words
        """What the endpoint says about it, without the key."""


class Oversized(Exception):
    """A reply is larger than it may be, or packed, so that nobody knows; the message goes on after "its reply"."""


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
        if not self.key.isascii() or not self.key.isprintable() or self.key != self.key.strip():
            raise UserError(
                f"the environment variable {config.api_key_env} holds what no key has (a space, a line end)"
            )
        self.client = openai.AsyncOpenAI(
            base_url=config.base_url,
            api_key=self.key,
            timeout=openai.Timeout(config.timeout, connect=min(CONNECT_TIMEOUT, config.timeout)),
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},  # what is not packed is no larger than what is read
            # The key and the questions are for the server that the recipe names, and for no other.
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"response": [self._limit]}),
        )
        for name in ("httpx", "httpx2"):  # a line for each request, with what the server says behind the status
            logging.getLogger(name).setLevel(logging.WARNING)
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
                does = "sends elsewhere" if error.status_code < 400 else "refuses"
                raise UserError(
                    f"{self.config.base_url} {does} the request for model {model!r} (HTTP {error.status_code}); "
                    f"check base_url, model and the key in {self.config.api_key_env or 'api_key_env'}"
                ) from error
            if _passing(error):
                raise GaveUp(f"HTTP {error.status_code}") from error
            raise Refused(error.status_code, self._words(error)) from error
        except Oversized as error:
            raise GaveUp(f"its reply {error}") from error
        except (openai.APIConnectionError, TimeoutError) as error:
            late = isinstance(error, openai.APITimeoutError | TimeoutError)
            raise GaveUp("no reply in time" if late else "no connection") from error
        except ValueError as error:
            raise GaveUp("the endpoint's reply is no chat completion") from error

    def _attempt(self, model: str, messages: Any, read: Callable[[Any], T], options: Mapping[str, Any]) -> T:
        create = self.client.chat.completions.with_raw_response.create
        # The fields of the body that openai's client does not know go the same way as those it knows.
        return read(self._reply(create(model=model, messages=messages, extra_body=options)))

    def models(self) -> tuple[str, ...]:
        """Names of the models served; empty when the endpoint does not tell."""
        import openai

        try:
            rows = self._reply(self.client.models.with_raw_response.list())["data"]
            return tuple(str(row["id"])[:LONGEST_NAME] for row in rows)
        except (openai.OpenAIError, Oversized, OSError, ValueError, LookupError, TypeError):
            return ()

    def _reply(self, request: Coroutine[Any, Any, Any]) -> Any:
        """The JSON of a reply that is whole in time, without the key. Raises ValueError when it is none."""
        given = asyncio.wait_for(request, self.config.timeout)
        content = asyncio.run_coroutine_threadsafe(given, _loop()).result().http_response.content
        if self.config.api_key_env and is_secret(self.key):
            content = content.replace(self.key.encode(), "…".encode())
        try:
            return json.loads(content)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    async def _limit(self, response: Any) -> None:
        """Has a reply be read up to its limit alone."""
        coding = response.headers.get("content-encoding", "").lower()
        if PACKED.search(coding):
            raise Oversized(f"is packed ({coding[:WORDS_KEPT]}), unasked: switch compression off at the server")
        response.stream = _limited(response.stream, self.config.max_reply_mb)

    def _words(self, error: Any) -> str:
        """The sentence in an error's body, on one line, without the key."""
        body = error.body if isinstance(error.body, Mapping) else {}
        given = body.get("message") or body.get("detail") or error.response.text
        words = " ".join(str(given).split())
        if self.config.api_key_env:
            words = without_key(words[: 10 * WORDS_KEPT], self.key)
        return words if len(words) <= WORDS_KEPT else f"{words[: WORDS_KEPT - 1]}…"


def _loop() -> asyncio.AbstractEventLoop:
    """Where the requests of all threads run: only there is there a limit on the whole time of one, its slow bytes
    included, which can be kept."""
    with FIRST:  # else threads that ask at the same time would each begin one, and a client has one alone
        return _begun()


@cache
def _begun() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="endpoints", daemon=True).start()
    return loop


def _limited(stream: Any, most: int) -> Any:
    """A reply's stream that ends with Oversized after so many megabytes."""

    async def pieces(_: Any) -> AsyncIterator[bytes]:
        left = most * MB
        async for piece in stream:
            left -= len(piece)
            if left < 0:
                raise Oversized(f"has over {most} MB (max_reply_mb)")
            yield piece

    async def close(_: Any) -> None:
        await stream.aclose()

    # Of httpx's or httpx2's own kind of stream, whichever openai's client has: it takes no other.
    kind = next(kind for kind in type(stream).__mro__ if kind.__name__ == "AsyncByteStream")
    return type("Limited", (kind,), {"__aiter__": pieces, "aclose": close})()


def _passing(error: BaseException) -> bool:
    """Whether another attempt may help: too many requests, a fault of the server, no connection, out of time, a
    reply that is none."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in (408, 409, 425, 429) or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError | TimeoutError | ValueError)


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
