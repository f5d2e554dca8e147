"""Which words of two completions differ, for people to see at a glance."""

import difflib
import re
from dataclasses import dataclass

WORD = re.compile(r"[㐀-鿿]\s*|[^\W㐀-鿿]+\s*|[^\w\s]\s*|\s+")
"""A word, a Chinese character or a sign, with the space that follows it: together they are the whole text."""
MAX_WORDS = 600
"""Longer stretches are marked whole: comparing takes time that grows with the square of the length."""
MAX_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, and whether the other text lacks it."""

    text: str
    differs: bool


def marked(first: str, second: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces; joined, the pieces are the texts again. Space alone makes no difference."""
    words, others = WORD.findall(first), WORD.findall(second)
    keys, other_keys = [word.strip() for word in words], [word.strip() for word in others]
    start = 0
    while start < min(len(keys), len(other_keys)) and keys[start] == other_keys[start]:
        start += 1
    end = 0
    while end < min(len(keys), len(other_keys)) - start and keys[-1 - end] == other_keys[-1 - end]:
        end += 1
    stop, other_stop = len(keys) - end, len(other_keys) - end
    same = [(0, 0, start), (stop, other_stop, end)]
    if max(stop, other_stop) - start <= MAX_WORDS:
        matcher = difflib.SequenceMatcher(None, keys[start:stop], other_keys[start:other_stop], autojunk=False)
        blocks = [(a + start, b + start, size) for a, b, size in matcher.get_matching_blocks()]
        same = [same[0], *blocks, same[1]]
    return _pieces(words, [(a, size) for a, _, size in same]), _pieces(others, [(b, size) for _, b, size in same])


def _pieces(words: list[str], same: list[tuple[int, int]]) -> list[Piece]:
    """The words in pieces; `same` holds start and length of the stretches that both texts have."""
    pieces: list[Piece] = []
    done, space = 0, ""
    for start, size in [*same, (len(words), 0)]:
        other, shared = "".join(words[done:start]), "".join(words[start : start + size])
        if other.strip():
            pieces += [Piece(space, False)] * bool(space) + [Piece(other.rstrip(), True)]
            space = ""
        # The space after a marked word is not marked: a mark would reach into the next line.
        plain = space + other[len(other.rstrip()) :] + shared
        space = "" if shared else plain
        if shared:
            pieces.append(Piece(plain, False))
        done = start + size
    return pieces + [Piece(space, False)] * bool(space)


def cut(text: str, limit: int = MAX_CHARACTERS) -> tuple[str, int]:
    """The text's beginning, and how many characters were left out."""
    return (text, 0) if len(text) <= limit else (text[:limit], len(text) - limit)
