"""The windows of a response that may hold its answer: the whole of it, its last line, its first and last sentences.

A statement is a window of the body and the rule that found it; `marks` finds those that the model marked itself. How a
statement is read depends on the kind of answer.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from mixpo.verdicts.body import Body

DIRECT_LIMIT = 80
"""A response of one line up to this length, without a marker, is a direct answer."""
LINE_LIMIT = 30
"""A last line up to this length may be the bare answer."""
LENGTH_LIMIT = 1_000
"""Characters of a sentence or of a marked line that are read: what is longer is no statement of an answer."""
TAIL = 4_000
"""Characters before the body's end in which unmarked statements are looked for."""

SENTENCE_END = re.compile(
    r"[.!?;\n](?:(?<=[.!?])[.!?]*(?=[\s\"')\]]|$)"
    r"(?<!\b[A-Za-z]\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bapprox\.)(?<!\bDr\.)(?<!\bSt\.)(?!(?<=\d!) ?[=*/·×^])"
    r"|(?<=[^\x00-\x7f][.!?;])|(?<=\n)|(?<=[ap]\.m\.)(?=\s+[A-Z][a-z]+ ))"
)
COURTESY = re.compile(
    r"i hope|hope (?:this|that)|let me know|is there anything|feel free|please (?:note|let)|if you (?:have"
    r"|need|'d|would)|\(?(?:sources?|references?|note|remark|n\.?b\.?|p\.?s\.?|disclaimer|explanation|caveat|confidence)\s?[:\]]"
    r"|\([^()\n]*\)\W*$|\((?=[^()\n]{12})[^()\n]*$|(?!\(?[a-z]\))[^\n.!?]*\?\W*$"
)
STRICT = frozenset({"box", "tag", "json", "heading", "marker", "direct"})
MARKED = frozenset({"box", "tag", "json", "heading", "marker", "phrase"})


class Statement(NamedTuple):
    """A window of the body that may hold the final answer."""

    start: int
    end: int
    rule: str
    """box, tag, json, heading, marker, phrase; direct, line (the last one), first, last (sentences)."""

    @property
    def marked(self) -> bool:
        """Whether the model marked it as its answer."""
        return self.rule in MARKED

    @property
    def strict(self) -> bool:
        """Whether nothing but the answer can stand in it: what it holds is the answer, readable or not."""
        return self.rule in STRICT


def closing_brace(text: str, start: int, end: int) -> int | None:
    """Index of the brace that closes the one before `start`."""
    depth = 1
    for index in range(start, end):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if not depth:
                return index
    return None


def line_end(text: str, start: int, end: int) -> int:
    """End of the first line from `start` on that holds anything."""
    while True:
        newline = text.find("\n", start, end)
        if newline < 0:
            return end
        if text[start:newline].strip(" \t*$:#\\[]"):
            return newline
        start = newline + 1


def sentence_end(text: str, start: int, end: int) -> int:
    """End of the first sentence from `start` on that holds anything."""
    window = text[start:end]
    first = start + len(window) - len(window.lstrip(" \t\n*$:#\\[]"))
    found = (match.start() for match in SENTENCE_END.finditer(text, first, end))
    return next((at for at in found if at > first), end)


def direct_statement(body: Body) -> Statement | None:
    """The whole response when it is one short line."""
    start, end = trimmed(body.text, body.start, body.end)
    if 0 < end - start <= DIRECT_LIMIT and "\n" not in body.text[start:end]:
        return Statement(start, end, "direct")
    return None


def last_line(body: Body) -> Statement | None:
    """The last line when it is short and others stand before it: often the bare answer."""
    start, end = trimmed(body.text, max(body.start, body.end - TAIL), body.end)
    newline = body.text.rfind("\n", start, end)
    return Statement(newline + 1, end, "line") if newline >= 0 and end - newline - 1 <= LINE_LIMIT else None


def first_statement(body: Body) -> Statement | None:
    """The first sentence of the response."""
    start, end = trimmed(body.text, body.start, min(body.end, body.start + TAIL))
    end = min(sentence_end(body.text, start, end), start + LENGTH_LIMIT)
    return Statement(start, end, "first") if start < end else None


def last_statements(body: Body) -> Iterator[Statement]:
    """The last sentences, last first, without courtesies, questions and remarks in brackets where others stand."""
    start, end = trimmed(body.text, max(body.start, body.end - TAIL), body.end)
    edges = [start, *(match.end() for match in SENTENCE_END.finditer(body.text, start, end)), end]
    for left, right in zip(reversed(edges[:-1]), reversed(edges[1:])):
        left, right = trimmed(body.text, left, right)
        if left < right and (not COURTESY.match(body.lower, left, right) or (left == start and right == end)):
            yield Statement(max(left, right - LENGTH_LIMIT), right, "last")


class Listed(NamedTuple):
    """A list of lines with bullets or numbers: where it stands and its items."""

    start: int
    end: int
    items: tuple[str, ...]


BULLET = re.compile(r"[ \t]*(?:[-*•·]|\(?\d{1,2}[.)]|\(?[a-z]\))[ \t]+(\S[^\n]{0,80}?)[ \t.;,]*(?:\n|$)")


def bulleted(body: Body) -> Listed | None:
    """The last block of two or more short lines that begin with a bullet or a number."""
    start, end = trimmed(body.text, max(body.start, body.end - TAIL), body.end)
    found: list[re.Match[str]] = []
    last: list[re.Match[str]] = []
    position = start
    while position < end:
        match = BULLET.match(body.text, position, end)
        newline = body.text.find("\n", position, end)
        if match:
            found.append(match)
        elif body.text[position : newline if newline >= 0 else end].strip():
            last, found = (found if len(found) > 1 else last), []
        position = match.end() if match and match.end() > position else newline + 1 if newline >= 0 else end
    last = found if len(found) > 1 else last
    items = tuple(match[1].strip(" *_`") for match in last)
    return Listed(last[0].start(), last[-1].end(1), items) if last else None


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The window without white space at its ends."""
    window = text[start:end]
    return start + len(window) - len(window.lstrip()), start + len(window.rstrip())
