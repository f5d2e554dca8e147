"""A process reward model at an endpoint: how good each step of a response is, for choosing the best of N.

Protocol: `POST <base_url>/chat/completions` of OpenAI's API, with `logprobs`. The model sees the picture, the question
and the steps up to one, and answers "+" or "-" (as VisualPRM and Math-Shepherd are trained to): the step's score is
the probability of "+" against "-", the response's score the mean over its steps (VisualPRM, arXiv 2503.10291,
section 3). Scores are kept: a rerun asks only for what is missing, `--redo` with another threshold for nothing.
"""

import hashlib
import json
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mixpo.endpoint import Endpoint, EndpointConfig, GaveUp, Refused
from mixpo.errors import UserError
from mixpo.files import Shards
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
    """`StepScores.key` of what was asked."""
    scores: tuple[float, ...]


Answer = tuple[Question, Response]


def steps(text: str) -> list[str]:
    """A response's steps: its lines that hold anything."""
    return [line.strip() for line in text.splitlines() if line.strip()]


class StepScores:
    """The scores of responses' steps by one process reward model, each asked for once."""

    def __init__(self, config: RewardConfig, roots: ImageRoots, cache: Shards[Steps]):
        """`roots`: where the questions' pictures lie."""
        self.config, self.roots, self.cache = config, roots, cache
        self.known = {record.id: record.scores for record in cache}
        self._pictures: dict[str, str] = {}

    def of(self, answer: Answer) -> tuple[float, ...]:
        """Of a response whose steps have been scored."""
        return self.known[self.key(*answer)]

    def missing(self, answers: Iterable[Answer]) -> dict[str, Answer]:
        """Those to ask for, by key."""
        return {key: answer for answer in answers if (key := self.key(*answer)) not in self.known}

    def key(self, question: Question, response: Response) -> str:
        """SHA-256 (hex) of all that a score depends on: the model, its tokens, the words, the pictures' files. Raises
        ImageError."""
        own = self.config
        parts = [own.model, own.good, own.bad, INSTRUCTION, _asked(question, response), *steps(response.text)]
        pictures = [self._digest(image) for image in question.images]
        return hashlib.sha256(json.dumps([parts, pictures]).encode()).hexdigest()

    def _digest(self, image: str) -> str:
        if image not in self._pictures:
            self._pictures[image] = hashlib.sha256(self.roots.content(image)).hexdigest()
        return self._pictures[image]

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.config)

    def ask(self, missing: Mapping[str, Answer]) -> Iterator[Steps]:
        """The scores in the order they come, each in the cache by then: one that takes its time holds none back.

        Raises MissingExtra without openai, UserError for an endpoint that does not answer as it should.
        """
        endpoint = self.endpoint
        with appending(self.cache) as keep, ThreadPoolExecutor(self.config.concurrency) as pool:
            score = lambda key, answer: keep(Steps(id=key, scores=self._score(*answer)))  # noqa: E731
            try:
                for done in as_completed([pool.submit(score, *one) for one in missing.items()]):
                    record = done.result()
                    self.known[record.id] = record.scores
                    yield record
            except BaseException:
                endpoint.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _score(self, question: Question, response: Response) -> tuple[float, ...]:
        pictures = [
            {"type": "image_url", "image_url": {"url": data_url(self.roots.open(image))}} for image in question.images
        ]
        written, asked = steps(response.text), _asked(question, response)
        options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20}
        scores = []
        for count in range(1, len(written) + 1):
            text = "\n".join([asked, "", *written[:count], "", INSTRUCTION])
            messages = [{"role": "user", "content": [*pictures, {"type": "text", "text": text}]}]
            try:
                scores.append(
                    self.endpoint.ask(self.config.model, messages, lambda reply: _good(reply, self.config), options)
                )
            except GaveUp as error:
                words = error.words if isinstance(error, Refused) else ""
                why = f"refuses: {words}" if words else f"does not answer ({error})"
                raise UserError(
                    f"{self.config.base_url}: the process reward model {why}; see to the endpoint, then run again: "
                    "what was scored is kept"
                ) from error
        return tuple(scores)


def rewards(
    answers: Sequence[Answer], roots: ImageRoots, config: RewardConfig, cache: Shards[Steps]
) -> dict[str, float]:
    """Response id -> the mean over its steps (0 without any); what is not in the cache is asked for and kept.

    Raises as `StepScores.ask`.
    """
    found = StepScores(config, roots, cache)
    if missing := found.missing(answers):
        deque(track(found.ask(missing), "process reward", total=len(missing)), maxlen=0)
    scored = {answer[1].id: found.of(answer) for answer in answers}
    return {id: sum(scores) / len(scores) if scores else 0.0 for id, scores in scored.items()}


def _asked(question: Question, response: Response) -> str:
    return transcript(response.prompt or question.text, response.system, question.turns)


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
