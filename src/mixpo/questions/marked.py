"""Answers that stand within more text, as sets for reinforcement learning have them: `<answer> B </answer>`, or a
solution with its result in a box."""

import re
from enum import StrEnum
from typing import Any


class AnswerIn(StrEnum):
    """Where in its column the answer stands."""

    WHOLE = "whole"
    """The column is the answer."""
    MARKED = "marked"
    """In the last `<answer>…</answer>`, else in the last `\\boxed{…}`, else behind the last `####`; else the whole
    column."""


TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")


def marked(value: Any) -> Any:
    """The answer that is marked in a text, or in each of a list; anything else as it stands."""
    if isinstance(value, list | tuple):
        return [marked(each) for each in value]
    if not isinstance(value, str):
        return value
    if tags := TAG.findall(value):
        return _boxed(tags[-1].strip())
    boxed = _boxed(value)
    return value.rpartition("####")[2].strip() if boxed == value and "####" in value else boxed


def _boxed(text: str) -> str:
    """What is in the last box whose braces close; the text itself without one."""
    for box in reversed([*BOX.finditer(text)]):
        depth = 1
        for at in range(box.end(), len(text)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if not depth:
                return text[box.end() : at].strip()
    return text
