"""The part of a response that can hold its final answer, as a window into the text.

Normalising keeps the length (one character for one), so that every span found in it holds in the response as well.
Everything here is linear in the length of the text: models write megabytes.
"""

import re
import unicodedata
from functools import cache
from typing import NamedTuple

from mixpo.prompts import END_OF_TURN, THOUGHTS
from mixpo.verdicts.unicode import FOLDED, SUPERSCRIPT, THIN

END_TOKEN = re.compile(rf"{END_OF_TURN}|<\|im_start\|>")
INVENTED = re.compile(
    r"\n[ \t#*]*(?:(?:next |new |another )?(?:question|problem|hint|instruction|human|user|assistant|q)"
    r"(?: ?\d+)?[ \t*]*:|(?:问题|题目|提示|用户)[ \t]*:|\[?inst\]|example \d+[ \t]*:)"
)
# The mark comes first and what stands around it is looked back at: so the search skips to the next mark.
EMPHASIS = re.compile(
    r"(?:\*\*|__)(?:(?<![\w)*][*_]{2})(?=\S)|(?<=[^\s*][*_]{2})(?![\w(*])|(?<=[:.。!?][*_]{2}))"
    r"|```\w*"
)
ITALICS = re.compile(r"(?<![\w\\}*)])([*_])(\w(?:[^*_\n\\]{0,80}[\w.!?)])?)\1(?![\w*{(])")
STRUCK = re.compile(r"~~[^~\n]{1,200}~~")
GROUNDING = re.compile(
    r"(?:</ref>|<\|object_ref_end\|>)\s{0,9}(?:<box>[^<]{0,400}</box>|<\|box_start\|>[^<]{0,400}<\|box_end\|>)"
    r"|</?(?:ref|box|quad)>|<\|(?:object_ref|box|quad)_(?:start|end)\|>"
)
"""Marks of what stands where in the picture: `<ref>cat</ref><box>[[1, 2, 3, 4]]</box>` says "cat"."""
TEXT = re.compile(r"\\(?:text(?:bf|it|rm|tt)?|mbox)\s?\{([^{}]*)\}(?!\s?\^)")
GROUPED = re.compile(r"\d(?<![\d.,]\d)(?<![\d.,] \d)\d?(?: \d{3})+(?![\d]|[.,]\d{3}| \d)")
"""Thousands set apart by blanks: "1 200". Three digits in front could as well be a list."""


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


def body_of(response: str, thoughts: tuple[tuple[str, str], ...] = THOUGHTS, thought_open: bool = False) -> Body:
    """The response after its thoughts, before an end-of-turn token or a question that the model invented.

    `thought_open`: whether the prompt ended inside a thought, so that the text begins in one.
    """
    text = response if response.isascii() else fold(response)
    if "~~" in text:
        text = STRUCK.sub(lambda match: " " * len(match[0]), text)
    if "<" in text and ("ref" in text or "box" in text or "quad" in text):
        text = GROUNDING.sub(lambda match: " " * len(match[0]), text)
    if "*" in text or "_" in text or "```" in text:
        text = _unemphasised(text)
    if "\\text" in text or "\\mbox" in text:
        text = TEXT.sub(_unwrapped, text)
    if GROUPED.search(text):
        text = GROUPED.sub(lambda match: match[0].replace(" ", THIN), text)
    lower = lowered(text)
    start, end = _after_thoughts(lower, thoughts, thought_open)
    length = end
    if "<" in text and (token := END_TOKEN.search(text, start, end)):
        end = token.start()
    if "\n" in text:
        head = text[start : start + 2000]
        if invented := INVENTED.search(lower, start + len(head) - len(head.lstrip()), end):
            end = invented.start()
    return Body(text, lower, start, end, end < length)


def _after_thoughts(lower: str, thoughts: tuple[tuple[str, str], ...], thought_open: bool) -> tuple[int, int]:
    """Where the text after the last thought starts and ends; an open thought never ends."""
    if not ("<" in lower or "◁" in lower or "[th" in lower or thought_open):
        return 0, len(lower)
    closed = max((at + len(closing) for _, closing in thoughts if (at := lower.rfind(closing)) >= 0), default=0)
    if thought_open and not closed:
        return len(lower), len(lower)
    opened = [at for opening, _ in thoughts if (at := lower.find(opening, closed)) >= 0]
    return closed, min(opened, default=len(lower))


def _unwrapped(match: re.Match[str]) -> str:
    """Words set as text within mathematics as words: "The sum is", "3000 m"; a unit or "or" stays what it is."""
    inside = match[1]
    words = re.findall(r"[^\W\d_]+", inside)
    is_prose = len(words) > 1 or any(character.isdigit() for character in inside) or sum(map(len, words)) > 7
    return " " * (match.start(1) - match.start()) + inside + " " if is_prose else match[0]


def _unemphasised(text: str) -> str:
    """Without the marks of bold, italics and code, each replaced by blanks."""
    text = EMPHASIS.sub(lambda match: " " * len(match[0]), text)
    return ITALICS.sub(r" \2 ", text)


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
    if character.isascii() or character in SUPERSCRIPT:
        return None
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Zs" or category == "Cf":
        return " "
    compatible = unicodedata.normalize("NFKC", character)
    if len(compatible) == 1 and compatible.isascii() and (category not in ("No", "So") or compatible.isupper()):
        return compatible
    return None
