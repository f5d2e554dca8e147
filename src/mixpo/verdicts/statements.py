"""Where a response states its answer: behind a marker, in a box, as the whole response, in its last sentences.

A statement is a window of the body and the rule that found it. Explicit statements (tag, JSON field, box, marker) come
last first: the last one stands, an earlier guess does not. How a statement is read depends on the kind of answer.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mixpo.verdicts.body import Body

BOX_LIMIT = 2_000
"""Characters in which a box must close: longer ones are no answer, and the scan stays linear."""
DIRECT_LIMIT = 80
"""A response of one line up to this length, without a marker, is a direct answer."""
TAIL = 4_000
"""Characters before the body's end in which unmarked statements are looked for."""

EXPLICIT = re.compile(
    r"""\\(?P<box>boxed|fbox)\s*\{
    | (?P<tag><answer>)
    | (?P<json>["']\w{0,12}answer["']\s*:\s*)
    | (?P<heading>(?<![^\n])[ \t]*\#{1,6}[ \t]*(?:final[ ]|correct[ ]|the[ ])*(?:answer|result)[ \t]*:?[ \t]*(?=\n))
    | (?P<marker>\b(?:answer|value|result|option|choice|letter|guess|count|number)(?:\s+(?:letter|choice|option))?\s*
        (?:\([^()\n]{0,30}\)\s*)?[:=](?!=)
      | (?:最终|正确|最后|标准)?的?(?:答案|选项|结果)(?:应该|应当|应)?(?:是|为|选|:)+(?:选项|:)?
      | (?:故选|应选|选择)[:为是]?)
    | (?P<phrase>(?:\b(?:answer|(?:correct|right|best|final|appropriate|closest|likely|suitable|my)\s+(?:\w+\s+)?
        (?:option|choice|letter|guess|value|result|number|count|statement)|my\s+(?:\w+\s+)?guess)
        (?!\s+(?:choices|options)\b)[^.!?\n:=]{0,100}?\b(?:is|are|was|would\s+be|will\s+be|should\s+be|must\s+be)\b
      | \bI(?:\s+would|\s+will|'d|'ll)?\s+(?:choose|select|pick|go\s+with|guess)\b)(?:\s*:)?)
    """,
    re.IGNORECASE | re.VERBOSE,
)
SENTENCE_END = re.compile(r"(?<![ (][A-Za-z])(?<!\b[A-Z]\.[A-Z])[.!?]+(?=[\s\"')\]]|$)|(?<=[^\x00-\x7f])[.!?;]|\n")
COURTESY = re.compile(
    r"\s*(?:I hope|hope this|let me know|is there anything|feel free|please (?:note|let)|note(?: that)?\b|if you (?:have|need))",
    re.IGNORECASE,
)
WITHDRAWN = re.compile(r"\b(?:wait|hmm|actually|correction|on second thought|let me (?:re)?-?check|scratch that)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A window of the body that may hold the final answer."""

    start: int
    end: int
    rule: str

    @property
    def explicit(self) -> bool:
        """Whether the model marked it as its answer."""
        return self.rule in ("box", "tag", "json", "heading", "marker", "phrase")

    @property
    def strict(self) -> bool:
        """Whether nothing but the answer can stand in it: what it holds is the answer, readable or not."""
        return self.rule in ("box", "tag", "json", "heading", "marker", "direct")


def explicit_statements(body: Body) -> Iterator[Statement]:
    """What the model marked as its answer, the last first; empty ones are left out."""
    for match in reversed(list(EXPLICIT.finditer(body.text, body.start, body.end))):
        rule = match.lastgroup or ""
        start = match.end()
        end = _end_of(rule, body, start)
        if end is not None and body.text[start:end].strip(" \t\n.*$:{}"):
            yield Statement(start, end, rule)


def _end_of(rule: str, body: Body, start: int) -> int | None:
    """Where the statement that begins at `start` ends; None when it never does."""
    text = body.text
    if rule == "box":
        return closing_brace(text, start, min(body.end, start + BOX_LIMIT))
    if rule == "tag":
        end = text.find("</answer>", start, body.end)
        return end if end >= 0 else body.end
    if rule == "json":
        end = min((i for i in (text.find("\n", start, body.end), text.find("}", start, body.end)) if i >= 0), default=body.end)
        return end
    return line_end(text, start, body.end)


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
        if text[start:newline].strip(" \t*$:#"):
            return newline
        start = newline + 1


def direct_statement(body: Body) -> Statement | None:
    """The whole response when it is one short line."""
    text = body.text
    start, end = trimmed(text, body.start, body.end)
    if 0 < end - start <= DIRECT_LIMIT and "\n" not in text[start:end]:
        return Statement(start, end, "direct")
    return None


def first_statement(body: Body) -> Statement | None:
    """The first sentence of the response."""
    start, end = trimmed(body.text, body.start, min(body.end, body.start + TAIL))
    if start == end:
        return None
    match = SENTENCE_END.search(body.text, start, end)
    return Statement(start, match.start() if match else end, "first")


def last_statements(body: Body) -> Iterator[Statement]:
    """The last sentences, last first, courtesies left out."""
    start, end = trimmed(body.text, max(body.start, body.end - TAIL), body.end)
    edges = [start, *(match.end() for match in SENTENCE_END.finditer(body.text, start, end)), end]
    for left, right in zip(reversed(edges[:-1]), reversed(edges[1:])):
        left, right = trimmed(body.text, left, right)
        if left < right and not COURTESY.match(body.text, left, right):
            yield Statement(left, right, "last")


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The window without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
