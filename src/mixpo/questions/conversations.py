"""A question that stands in a conversation of one turn, as LLaVA and ShareGPT write it.

    [{"from": "human", "value": "<image>\\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]

`role` and `content` stand for `from` and `value` as well. The marks at the text's beginning stand for its pictures.
"""

import re
from collections.abc import Mapping
from typing import Any

from mixpo.errors import BadRow
from mixpo.questions.values import parsed, short

MARK = "<image>"
AHEAD = re.compile(rf"(?:\s*{MARK})*\s*")
ASKS, REPLIES = ("human", "user"), ("gpt", "assistant")


class UnsupportedTurns(BadRow):
    """What a question cannot hold yet: several turns, a system prompt, pictures between the words."""


def is_conversation(value: Any) -> bool:
    """Whether a column holds turns instead of a text; a table has them as JSON text."""
    found = parsed(value)
    return isinstance(found, list) and (found is value or (found != [] and isinstance(found[0], dict)))


def only_turn(value: Any, images: int | None) -> tuple[str, str | None]:
    """The text of the one question, its marks for pictures aside, and the reply, where there is one.

    `images`: how many pictures the row has; None: not known. Raises UnsupportedTurns for several turns, a system
    prompt and pictures between the words, BadRow for what is no conversation.
    """
    turns = [_turn(turn) for turn in parsed(value)]
    roles = [role for role, _ in turns]
    other = next((role for role in roles if role not in (*ASKS, *REPLIES)), None)
    if other is not None:
        raise UnsupportedTurns(f"a conversation with a turn of {other!r}")
    if (asked := sum(role in ASKS for role in roles)) > 1:
        raise UnsupportedTurns(f"a conversation of {asked} turns; give one question a row")
    if not roles or roles[0] not in ASKS or len(roles) > 2:
        raise BadRow(f"a conversation is a question and perhaps its reply, not {short(roles)}")
    text = turns[0][1]
    begins = AHEAD.match(text)
    ahead = text[begins.end() :] if begins else text
    if text.count(MARK) == 1 and ahead.rstrip().endswith(MARK):
        ahead = ahead.rstrip().removesuffix(MARK)  # LLaVA's own loader moves a single one to the front
    if MARK in ahead:
        raise UnsupportedTurns("pictures between the words of a conversation")
    marks = text.count(MARK)
    if marks and images is not None and marks != images:
        raise BadRow(f"the conversation has {marks} marks {MARK} for {images} pictures")
    return ahead.strip(), turns[1][1] if len(turns) > 1 else None


def _turn(turn: Any) -> tuple[str, str]:
    """Role and text."""
    if not isinstance(turn, Mapping):
        raise BadRow(f"a turn of a conversation is a mapping, not {short(turn)}")
    role, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    if isinstance(text, list):
        raise UnsupportedTurns("a turn of several parts")
    if not isinstance(role, str) or not isinstance(text, str):
        raise BadRow(f"a turn of a conversation has `from` and `value`, not {short(dict(turn))}")
    return role, text
