"""An LLM's verdict on free-form answers, through an OpenAI-compatible endpoint; off unless a recipe asks for it.

Only what strings cannot tell is sent: free-form questions with a ground truth, as text, without images.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from mixpo.endpoint import FAILURES_IN_A_ROW, Endpoint, EndpointConfig, GaveUp, Refused
from mixpo.errors import UserError
from mixpo.files import Shards
from mixpo.records import AnswerKind, FinishReason, Outcome, Question, Response, Verdict
from mixpo.shards import appending
from mixpo.verdicts.llm_prompt import PROMPT_VERSION, cache_key, messages, score_of

WORDS_KEPT = 200
"""Characters of the judge's reply that a verdict's reason holds; the cache holds all of it."""


@dataclass(frozen=True, kw_only=True)
class LLMJudgeConfig(EndpointConfig):
    """Which model judges free-form answers, and what it may cost."""

    model: str
    """The model's name at the endpoint."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key, which is stored nowhere; empty: the endpoint needs none."""
    max_calls: int = 1000
    """Calls paid for in all, over all runs with the same cache; when they are used up the rest stays UNDECIDED."""
    correct_from: float = 0.75
    """Scores from here on are CORRECT."""
    incorrect_to: float = 0.25
    """Scores up to here are INCORRECT; between the two the answer is partly right: UNDECIDED."""
    max_tokens: int = 512
    """Tokens of the judge's reply."""
    max_characters: int = 20_000
    """A longer response is not sent."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.incorrect_to < self.correct_from <= 1:
            raise ValueError("incorrect_to must be below correct_from, both from 0 to 1")
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeReply:
    """A reply that was paid for, as it stands in the cache."""

    id: str
    """`cache_key` of what was asked."""
    model: str
    prompt_version: str
    text: str
    """What the judge wrote, whole."""


def decide(
    verdicts: Iterable[Verdict],
    questions: Mapping[str, Question],
    responses: Mapping[str, Response],
    config: LLMJudgeConfig,
    cache: Shards[JudgeReply],
) -> Iterator[Verdict]:
    """The verdicts, in order, those on free-form answers with a ground truth replaced by the model's.

    Replies go to the cache as they come, so what was paid for outlives a kill and is never asked again.
    Raises MissingExtra without openai and tenacity, UserError for a key or an endpoint that does not work.
    """
    endpoint = Endpoint(config)
    waiting: deque[tuple[Verdict, Future[JudgeReply] | str | None]] = deque()
    failures = 0

    def finished() -> Verdict:
        nonlocal failures
        verdict, found = waiting.popleft()
        if found is None:
            return verdict
        if isinstance(found, str):
            return _verdict(verdict, config, Outcome.UNDECIDED, found)
        try:
            decided = _read(verdict, found.result(), config)
        except GaveUp as error:
            failures += 1
            if failures >= FAILURES_IN_A_ROW:
                raise UserError(
                    f"{config.base_url}: {failures} requests in a row got no reply ({error}); what was judged is "
                    "kept: see to the endpoint, then run again"
                ) from error
            undecided = _verdict(verdict, config, Outcome.UNDECIDED, str(error))
            return replace(undecided, transient=not isinstance(error, Refused))
        failures = 0
        return decided

    ask = _requester(endpoint, config)
    with appending(cache) as keep, ThreadPoolExecutor(config.concurrency) as pool:
        calls = _Calls(config, {reply.id: reply for reply in cache}, pool, lambda *asked: keep(ask(*asked)))
        try:
            for verdict in verdicts:
                waiting.append((verdict, calls.sent(verdict, questions, responses)))
                while waiting and (len(waiting) > 4 * config.concurrency or _ready(waiting[0][1])):
                    yield finished()
            while waiting:
                yield finished()
        finally:
            endpoint.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _Calls:
    """What was asked: each question once, answered by the cache or by one request, within the budget."""

    def __init__(
        self,
        config: LLMJudgeConfig,
        cached: Mapping[str, JudgeReply],
        pool: ThreadPoolExecutor,
        ask: Callable[[Question, str, str], JudgeReply],
    ):
        self.config, self.pool, self.ask = config, pool, ask
        self.spent = len(cached)
        self.futures: dict[str, Future[JudgeReply]] = {}
        for key, reply in cached.items():
            self.futures[key] = Future()
            self.futures[key].set_result(reply)

    def sent(
        self, verdict: Verdict, questions: Mapping[str, Question], responses: Mapping[str, Response]
    ) -> Future[JudgeReply] | str | None:
        """The reply to come; the reason why there will be none; None for a verdict that stands."""
        question, response = questions[verdict.question_id], responses[verdict.id]
        free_form = verdict.outcome is Outcome.UNDECIDED and verdict.kind is AnswerKind.FREE_FORM
        if not free_form or question.answer is None:
            return None
        if response.finish_reason is FinishReason.LENGTH:
            return "the token limit cut the response; not sent"
        if len(response.text) > self.config.max_characters:
            return f"the response has more than {self.config.max_characters} characters; not sent"
        key = cache_key(self.config.model, question, response.text)
        if key not in self.futures:
            if self.spent >= self.config.max_calls:
                return f"the budget of {self.config.max_calls} calls is used up; not sent"
            self.spent += 1
            self.futures[key] = self.pool.submit(self.ask, question, response.text, key)
        return self.futures[key]


def _ready(found: Future[JudgeReply] | str | None) -> bool:
    return not isinstance(found, Future) or found.done()


def _read(verdict: Verdict, reply: JudgeReply, config: LLMJudgeConfig) -> Verdict:
    score = score_of(reply.text)
    if score is None:
        return _verdict(verdict, config, Outcome.UNDECIDED, f"malformed reply: {reply.text}")
    if config.incorrect_to < score < config.correct_from:
        return _verdict(verdict, config, Outcome.UNDECIDED, f"partly right: {reply.text}", score)
    outcome = Outcome.CORRECT if score >= config.correct_from else Outcome.INCORRECT
    return _verdict(verdict, config, outcome, reply.text, score)


def _verdict(
    verdict: Verdict, config: LLMJudgeConfig, outcome: Outcome, words: str, score: float | None = None
) -> Verdict:
    words = " ".join(words.split())
    cut = words if len(words) <= WORDS_KEPT else words[: WORDS_KEPT - 1] + "…"
    return replace(verdict, outcome=outcome, rule=f"llm:{config.model}", reason=f"{PROMPT_VERSION}: {cut}", score=score)


def _requester(endpoint: Endpoint, config: LLMJudgeConfig) -> Callable[[Question, str, str], JudgeReply]:
    """`ask(question, answer, key)`: one request with its attempts; raises GaveUp or UserError."""

    def ask(question: Question, answer: str, cache_id: str) -> JudgeReply:
        chat = messages(question, answer, cache_id)
        reply = endpoint.chat(config.model, chat, temperature=0, max_tokens=config.max_tokens)
        text = reply.choices[0].text
        return JudgeReply(id=cache_id, model=config.model, prompt_version=PROMPT_VERSION, text=text)

    return ask
