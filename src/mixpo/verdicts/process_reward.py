"""A process reward model at an endpoint: how good each step of a response is, for choosing the best of N.

Protocol: `POST <base_url>/chat/completions` of OpenAI's API, with `logprobs`. The model sees the picture, the question
and the steps up to one, and answers "+" or "-" (as VisualPRM and Math-Shepherd are trained to): the step's score is
the probability of "+" against "-", the response's score the mean over its steps (VisualPRM, arXiv 2503.10291,
section 3). Scores are kept: a rerun asks only for what is missing.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from mixpo.endpoint import Endpoint, EndpointConfig, GaveUp, Refused
from mixpo.errors import UserError
from mixpo.files import RunFiles, Shards
from mixpo.images import ImageRoots, data_url
from mixpo.messages import transcript
from mixpo.progress import track
from mixpo.records import Question, Response
from mixpo.replies import logp
from mixpo.shards import appending

INSTRUCTION = "Is the last step right? Answer + if it is and - if it is not."


@dataclass(frozen=True, kw_only=True)
class RewardConfig(EndpointConfig):
    """Where the process reward model answers."""

    model: str
    """The model's name at the endpoint."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; empty: the endpoint needs none."""
    good: str = "+"
    """The token that says that a step is right."""
    bad: str = "-"
    """The token that says that it is wrong; a step's score is the first one's share of both."""


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
    answers: Sequence[tuple[Question, Response]],
    files: RunFiles,
    section: str,
    config: RewardConfig,
    cache: Shards[Steps],
) -> Mapping[str, float]:
    """Response id -> its score; what is not in the cache is asked for and kept as it comes.

    Raises MissingExtra without openai, UserError for an endpoint that does not answer as it should.
    """
    known = {record.id: record for record in cache}
    roots = ImageRoots.load(files.image_roots_file(section))
    missing = [(question, response) for question, response in answers if response.id not in known]
    if missing:
        asked = scores(missing, roots, Endpoint(config), config, cache)
        deque(track(asked, "process reward", total=len(missing)), maxlen=0)
    return {record.id: record.value for record in cache}


def scores(
    answers: Sequence[tuple[Question, Response]],
    roots: ImageRoots,
    endpoint: Endpoint,
    config: RewardConfig,
    cache: Shards[Steps],
) -> Iterator[Steps]:
    """The scores in the order they come, each in the cache by then: one that takes its time holds none back.

    Raises UserError for an endpoint that does not answer as it should.
    """
    with appending(cache) as keep, ThreadPoolExecutor(config.concurrency) as pool:
        score = lambda question, response: keep(_score(question, response, roots, endpoint, config))  # noqa: E731
        try:
            for done in as_completed([pool.submit(score, *pair) for pair in answers]):
                yield done.result()
        except BaseException:
            endpoint.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _score(
    question: Question, response: Response, roots: ImageRoots, endpoint: Endpoint, config: RewardConfig
) -> Steps:
    pictures = [{"type": "image_url", "image_url": {"url": data_url(roots.open(image))}} for image in question.images]
    written = steps(response.text)
    options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20}
    scores = []
    for count in range(1, len(written) + 1):
        asked = transcript(response.prompt or question.text, response.system, question.turns)
        text = "\n".join([asked, "", *written[:count], "", INSTRUCTION])
        messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": text}]}]
        try:
            scores.append(endpoint.ask(config.model, messages, lambda reply: _good(reply, config), options))
        except GaveUp as error:
            why = (
                f"refuses: {error.words}"
                if isinstance(error, Refused) and error.words
                else f"does not answer ({error})"
            )
            raise UserError(
                f"{config.base_url}: the process reward model {why}; see to the endpoint, then run again: what was "
                "scored is kept"
            ) from error
    return Steps(id=response.id, scores=tuple(scores))


def _good(reply: Any, config: RewardConfig) -> float:
    """P(good) / (P(good) + P(bad)) of the first token. Raises ValueError for what is no chat completion, UserError for
    one that tells neither."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not choices or not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ValueError("no choices")
    try:
        offered = choices[0]["logprobs"]["content"][0]["top_logprobs"]
        found = {entry["token"].strip(): math.exp(logp(entry["logprob"])) for entry in reversed(offered)}
    except (AttributeError, LookupError, TypeError) as error:
        raise UserError(f"{config.base_url} gives no log-probabilities; start it with logprobs") from error
    good, bad = found.get(config.good, 0.0), found.get(config.bad, 0.0)
    if good + bad == 0:
        raise UserError(
            f"{config.base_url}: neither {config.good!r} nor {config.bad!r} is among the likely tokens of "
            f"{config.model!r}; is it a process reward model with these labels?"
        )
    return good / (good + bad)
