"""What an OpenAI-compatible endpoint answers, read from its JSON: every value is of the type that the protocol says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixpo.values import encodable

MOST = 2**53
"""Counts, places and tokens are below it: whole numbers up to here are exact in every program."""
LONGEST_REASON = 100
"""Characters of a finish reason."""


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


def read_reply(row: Any) -> Reply:
    """A chat completion's JSON. Raises ValueError when it is anything else."""
    try:
        choices = tuple(map(_choice, sorted(row["choices"], key=lambda choice: _count(choice.get("index")))))
        usage = row.get("usage") or {}
        counts = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"no chat completion ({error!r})") from error
    if not choices:
        raise ValueError("no choice")
    return Reply(choices, *counts)


def _choice(row: Mapping[str, Any]) -> Choice:
    message = row["message"]
    said, thought = _parts(message.get("content"))
    content = (row.get("logprobs") or {}).get("content")
    reason = _text(row.get("finish_reason"))
    if len(reason) > LONGEST_REASON:
        raise ValueError("a finish reason is a word")
    return Choice(
        text=said,
        finish_reason=reason,
        logps=None if content is None else tuple(logp(token["logprob"]) for token in content),
        reasoning=_text(message.get("reasoning_content")) or _text(message.get("reasoning")) or thought,
        token_ids=tuple(map(_count, row.get("token_ids") or ())),
    )


def _parts(content: Any) -> tuple[str, str]:
    """What a message says and what it thinks: a text, or a list of parts of which some are `thinking` (Mistral)."""
    if not isinstance(content, list):
        return _text(content), ""
    said = "".join(_text(part["text"]) for part in content if part["type"] == "text")
    thoughts = [part["thinking"] for part in content if part["type"] == "thinking"]
    return said, "".join(_text(one) if isinstance(one, str) else _parts(one)[0] for one in thoughts)


def _text(value: Any) -> str:
    """A text, or none. Half a surrogate pair is valid JSON and no valid text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"text is no {type(value).__name__}")
    return encodable(value)


def _count(value: Any) -> int:
    """A whole number from 0, which may be written as 3.0; 0 where nothing is said."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST or value % 1:
        raise ValueError("a count is a whole number")
    return int(value)


def logp(value: Any) -> float:
    """A log-probability. Raises ValueError for what is none; rounding may bring one a little above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -math.inf < value <= 1:
        raise ValueError("a log-probability is a number up to 0")
    return float(value)
