"""A process reward model at an endpoint: how good each step of a response is, for choosing the best of N.

Protocol: `POST <base_url>/chat/completions` of OpenAI's API, with `logprobs`. The model sees the picture, the question
and the steps up to one, and answers "+" or "-" (as VisualPRM and Math-Shepherd are trained to): the step's score is
the probability of "+" against "-", the response's score the mean over its steps (VisualPRM, arXiv 2503.10291,
section 3). Scores are kept: a rerun asks only for what is missing.
"""

import base64
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mixpo.errors import MissingExtra, UserError
from mixpo.files import RunFiles, Shards
from mixpo.images import ImageRoots
from mixpo.progress import track
from mixpo.records import Question, Response

if TYPE_CHECKING:
    from mixpo.evaluation.best_of import Tried

INSTRUCTION = "Is the last step right? Answer + if it is and - if it is not."
ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    """Where the process reward model answers."""

    base_url: str
    """The endpoint, for example `http://localhost:8000/v1`."""
    model: str
    """The model's name at the endpoint."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; empty: the endpoint needs none."""
    good: str = "+"
    bad: str = "-"
    """The tokens that say that a step is right, and that it is wrong."""
    concurrency: int = 4
    timeout: float = 60.0
    """Seconds for one request."""

    def __post_init__(self) -> None:
        address = urlsplit(self.base_url)
        if address.scheme not in ("http", "https") or not address.hostname or address.username or address.query:
            raise ValueError("base_url must begin with http:// or https://, name a host, and hold no key")
        if self.concurrency < 1 or self.timeout <= 0:
            raise ValueError("concurrency and timeout must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """The scores of one response's steps, as they stand in the cache."""

    id: str
    """The response's id."""
    scores: tuple[float, ...]

    @property
    def value(self) -> float:
        return sum(self.scores) / len(self.scores) if self.scores else 0.0


def steps(text: str) -> list[str]:
    """A response's steps: its lines that hold anything."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def rewards(
    tried: Sequence["Tried"], files: RunFiles, section: str, config: RewardConfig, cache: Shards[Steps]
) -> Mapping[str, float]:
    """Response id -> its score; what is not in the cache is asked for and kept as it comes.

    Raises MissingExtra without openai, UserError for an endpoint that does not answer as it should.
    """
    known = {record.id: record for record in cache}
    roots = ImageRoots.load(files.image_roots_file(section))
    missing = [(item.question, response) for item in tried for response, _ in item.answers if response.id not in known]
    if missing:
        client = _client(config)
        asked = track(_asked(missing, roots, client, config), "process reward", total=len(missing))
        cache.append(asked)
    return {record.id: record.value for record in cache}


def _asked(
    missing: Sequence[tuple[Question, Response]], roots: ImageRoots, client: Any, config: RewardConfig
) -> Iterator[Steps]:
    with ThreadPoolExecutor(config.concurrency) as pool:
        yield from pool.map(lambda pair: _score(pair[0], pair[1], roots, client, config), missing)


def _score(question: Question, response: Response, roots: ImageRoots, client: Any, config: RewardConfig) -> Steps:
    pictures = [{"type": "image_url", "image_url": {"url": _data_url(roots.open(image))}} for image in question.images]
    written = steps(response.text)
    scores = []
    for count in range(1, len(written) + 1):
        text = "\n".join([response.prompt or question.text, "", *written[:count], "", INSTRUCTION])
        messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": text}]}]
        scores.append(_good(_reply(client, messages, config), config))
    return Steps(id=response.id, scores=tuple(scores))


def _reply(client: Any, messages: list[dict[str, Any]], config: RewardConfig) -> Any:
    import openai

    try:
        return client.chat.completions.create(
            model=config.model, messages=messages, max_tokens=1, temperature=0, logprobs=True, top_logprobs=20
        )
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        reason = f"HTTP {status}" if status else type(error).__name__
        raise UserError(
            f"{config.base_url}: the process reward model does not answer ({reason}); see to the endpoint, then run "
            "again: what was scored is kept"
        ) from error


def _good(reply: Any, config: RewardConfig) -> float:
    """P(good) / (P(good) + P(bad)) of the first token. Raises UserError where the reply tells neither."""
    try:
        offered = reply.choices[0].logprobs.content[0].top_logprobs
        found = {entry.token.strip(): math.exp(entry.logprob) for entry in reversed(offered)}
    except (AttributeError, IndexError, TypeError) as error:
        raise UserError(f"{config.base_url} gives no log-probabilities; start it with logprobs") from error
    good, bad = found.get(config.good, 0.0), found.get(config.bad, 0.0)
    if good + bad == 0:
        raise UserError(
            f"{config.base_url}: neither {config.good!r} nor {config.bad!r} is among the likely tokens of "
            f"{config.model!r}; is it a process reward model with these labels?"
        )
    return good / (good + bad)


def _data_url(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _client(config: RewardConfig) -> Any:
    try:
        import openai
    except ImportError as error:
        raise MissingExtra("openai", "llm") from error
    key = os.environ.get(config.api_key_env, "") if config.api_key_env else "none"
    if not key:
        raise UserError(f"the environment variable {config.api_key_env} is not set; put the endpoint's key into it")
    return openai.OpenAI(base_url=config.base_url, api_key=key, timeout=config.timeout, max_retries=ATTEMPTS)
