"""The part of a response that can hold its final answer, as a window into the text.

Normalising keeps the length (one character for one), so that every span found in it holds in the response as well.
Everything here is linear in the length of the text: models write megabytes.
"""

import re
import unicodedata
from functools import cache
from typing import NamedTuple

from mixpo.verdicts.unicode import FOLDED

END_TOKEN = re.compile(r"</s>|<\|(?:im_end|im_start|endoftext|eot_id|end|eos)\|>|<end_of_(?:turn|utterance)>|<eos>")
INVENTED = re.compile(
    r"\n[ \t#*]*(?:(?:next |new |another )?(?:question|problem|hint|instruction|human|user|assistant|q)"
    r"(?: ?\d+)?[ \t*]*:|(?:问题|题目|提示|用户)[ \t]*:|\[?inst\]|example \d+[ \t]*:)"
)
# The mark comes first and what stands around it is looked back at: so the search skips to the next mark.
EMPHASIS = re.compile(r"(?:\*\*|__)(?:(?<![\w)*][*_]{2})(?=\S)|(?<=[^\s*][*_]{2})(?![\w(*])|(?<=[:.。!?][*_]{2}))")


class Body(NamedTuple):
    """A response, normalised, and where in it the final answer must be looked for."""

    text: str
    """As long as the response: full-width forms, odd spaces, minus signs and digits of other scripts made plain."""
    lower: str
    """The text in lower case, at the same length: matched instead of ignoring case, which is much slower."""
    start: int
    end: int
    cut: bool
    """Whether the model went on after `end` (end-of-turn token, an invented next question)."""


def body_of(response: str) -> Body:
    """The response after its thinking, before an end-of-turn token or a question that the model invented."""
    text = response if response.isascii() else fold(response)
    if "**" in text or "__" in text:
        text = EMPHASIS.sub("  ", text)
    lower = lowered(text)
    start, length = 0, len(text)
    end = length
    if "<" in text:
        start = text.rfind("</think>") + len("</think>") if "</think>" in text else 0
        if not start and text.lstrip().startswith("<think>"):
            start = length  # still thinking when it ended: nothing was answered
        if token := END_TOKEN.search(text, start):
            end = token.start()
    if "\n" in text:
        head = text[start : start + 2000]
        if invented := INVENTED.search(lower, start + len(head) - len(head.lstrip()), end):
            end = invented.start()
    return Body(text, lower, start, end, end < length)


def plain_body(text: str) -> Body:
    """A short text that is an answer as a whole: an option, a ground truth."""
    return Body(text, lowered(text), 0, len(text), False)


def lowered(text: str) -> str:
    """In lower case, at the same length: İ is the one letter whose lower case has two."""
    lower = text.lower()
    return lower if len(lower) == len(text) else text.replace("İ", "i").lower()


def fold(text: str) -> str:
    """Every character replaced by one plain character: digits of all scripts, full-width forms, minus signs, spaces."""
    return text.translate(
        {ord(character): plain for character in set(text) if (plain := _plain(character)) is not None}
    )


@cache
def _plain(character: str) -> str | None:
    if character in FOLDED:
        return FOLDED[character]
    if character.isascii():
        return None
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Zs" or category == "Cf":
        return " "
    compatible = unicodedata.normalize("NFKC", character)
    if len(compatible) == 1 and compatible.isascii() and category not in ("No", "So"):
        return compatible
    return None
