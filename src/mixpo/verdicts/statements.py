"""Where a response states its answer: behind a marker, in a box, as the whole response, in its last sentences.

A statement is a window of the body and the rule that found it. Marked statements come last first: the last one stands,
an earlier guess does not. How a statement is read depends on the kind of answer.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from mixpo.verdicts.body import Body

BOX_LIMIT = 2_000
"""Characters in which a box must close: longer ones are no answer, and the scan stays linear."""
DIRECT_LIMIT = 80
"""A response of one line up to this length, without a marker, is a direct answer."""
LINE_LIMIT = 30
"""A last line up to this length may be the bare answer."""
LENGTH_LIMIT = 1_000
"""Characters of a sentence or of a marked line that are read: what is longer is no statement of an answer."""
TAIL = 4_000
"""Characters before the body's end in which unmarked statements are looked for."""
MARKS = 40
"""Marked statements looked at, from the last one back."""

KEYWORD_LIMIT = 1_000
"""Words that may begin a mark that are looked at, from the last one back."""
WINDOW = 50
"""Characters before the end in which such words are looked for first: mostly the last mark stands there."""
LONGEST_KEYWORD = len("go with")

# Every alternative begins with a letter, so that the search skips to the next letter that begins one.
KEYWORD = re.compile(
    "a(?<![a-z]a)ns|cho(?:ice|ose)|select|option|result|letter|value|pick|boxed|guess|go with|答|选|结果|而是"
)
VERB = r"\b(?:is|are|was|would be|will be|should be|must be|has to be|seems to be|appears to be)\b"
ANSWER = re.compile(
    rf"ans(?:wer)?(?![a-rt-z]|s?\s+(?:choices|options))(?:\s+(?:letter|choice|option))?\s*(?:\([^()\n]{{0,30}}\)\s*)?"
    rf"(?:(?P<marker>[:=](?!=))|(?!s?\s+(?:choices|options))[^.!?\n:=]{{0,100}}?(?P<phrase>{VERB}\s*:?))"
)
NOUN = re.compile(
    rf"(?:option|choice|letter|guess|pick|value|result)(?:\s+(?:letter|choice|option))?\s*"
    rf"(?:(?P<marker>[:=](?!=))|[^.!?\n:=]{{0,100}}?(?P<phrase>{VERB}\s*:?))"
)
QUALIFIED = re.compile(r"\b(?:correct|right|best|final|appropriate|closest|likely|suitable|my|accurate)\s+(?:\w+\s+)?$")
HEADING = re.compile(r"[ \t]*#{1,6}[ \t]*(?:final |correct |the )*answer[ \t]*:?[ \t]*\n")
JSON_COLON = re.compile(r"[\"']\s*:\s*")
AS_A_VERB = re.compile(
    r"\b(?:to|can|could|cannot|can't|please|not|must|should|i|we|you|here is the|here's the|here is my)$"
)
LONGEST_AS_A_VERB = len("here is the")
CHOOSING = re.compile(r"(?:choose|select|pick|go with|guess)(?P<phrase>\s*:?)(?=\s)")
CHOOSER = re.compile(r"\b(?:i|we|i'd|i'll|i would|i will|would|i'm going to|let's)\s+$")
CHINESE = re.compile(
    r"(?:答案|(?<!各)选项|结果)(?:应该|应当|应)?(?P<phrase>(?:是|为|选)+(?:选项|:)*)|(?:答案|答|结果)(?P<marker>:)|选项(?P<marker2>:)"
    r"|而是(?=\s*[(\"]?[A-Z])|(?<=故)选|(?<=[应所])选(?!项)|选择?(?=\s*[(:]?[A-Z](?![A-Za-z]))"
)
SENTENCE_END = re.compile(
    r"[.!?;\n](?:(?<=[.!?])[.!?]*(?=[\s\"')\]]|$)"
    r"(?<!\b[A-Za-z]\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bapprox\.)(?<!\bDr\.)(?<!\bSt\.)"
    r"|(?<=[^\x00-\x7f][.!?;])|(?<=\n))"
)
COURTESY = re.compile(
    r"i hope|hope (?:this|that)|let me know|is there anything|feel free|please (?:note|let)|if you (?:have"
    r"|need|'d|would)|(?:sources?|references?|note):"
)
WITHDRAWN = re.compile(
    r"\b(?:(?:wait|hmm|scratch that|on second thought"
    r"|let me (?:re-?check|re-?consider|re-?calculate|double[- ]check))\b|(?:correction|no)[:,])"
    r"|(?:^|[.!?\n]\s{0,20})actually\b"
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


def marked_statements(body: Body) -> Iterator[Statement]:
    """What the model marked as its answer, the last first; empty marks are left out."""
    text = body.text
    seen = 0
    for keyword in islice(_keywords(body), KEYWORD_LIMIT):
        found = _mark(body, keyword)
        if found is None:
            continue
        rule, start = found
        end = _end_of(rule, body, start)
        if end is not None and text[start:end].strip(" \t\n.*$:{}") and not _introduces(text, rule, start, end):
            yield Statement(start, end, rule)
        seen += 1  # a mark that never closes counts as well: looking for its end is what costs
        if seen == MARKS:
            return


def _keywords(body: Body) -> Iterator[int]:
    """Where words stand that may begin a mark, the last first; what stands before the answer is not searched."""
    right, window = body.end, WINDOW
    while right > body.start:
        left = max(body.start, right - window)
        found = KEYWORD.finditer(body.lower, left, min(body.end, right + LONGEST_KEYWORD - 1))
        yield from reversed([at for match in found if (at := match.start()) < right])
        right, window = left, 2 * window


def _mark(body: Body, at: int) -> tuple[str, int] | None:
    """The rule of the mark whose keyword stands at `at`, and where its statement starts."""
    text, lower, first = body.text, body.lower, body.lower[at]
    if first == "a":
        return _answer_mark(body, at)
    if first == "b":
        brace = at + len("boxed")
        return ("box", brace + 1) if text[at - 1 : at] == "\\" and text[brace : brace + 1] == "{" else None
    if first in "答选结而":
        match = CHINESE.match(text, at, body.end)
        return ("marker" if match.lastgroup in ("marker", "marker2") else "phrase", match.end()) if match else None
    before = lower[max(body.start, at - 40) : at]
    if lower.startswith(("choose", "select", "pick", "go with"), at):
        match = CHOOSING.match(lower, at, body.end) if CHOOSER.search(before) else None
    else:
        match = NOUN.match(lower, at, body.end) if QUALIFIED.search(before) or before.endswith("option ") else None
        if match is None and first == "g" and CHOOSER.search(before):
            match = CHOOSING.match(lower, at, body.end)
    return (match.lastgroup or "phrase", match.end()) if match else None


def _answer_mark(body: Body, at: int) -> tuple[str, int] | None:
    """As `_mark`, for "ans" and "answer"."""
    text, lower = body.text, body.lower
    before, after = lower[max(body.start, at - 40) : at], lower[at + 6 : at + 7]
    if after == ">" and before.endswith("<"):
        return "tag", at + 7
    if after in ("'", '"') and (colon := JSON_COLON.match(text, at + 6)):
        return "json", colon.end()
    if "#" in before:
        line = max(text.rfind("\n", max(body.start, at - 40), at) + 1, body.start)
        if (heading := HEADING.match(lower, line)) and heading.end() > at:
            return "heading", heading.end()
    words = before.rstrip()
    if len(words) < len(before) and AS_A_VERB.search(words, max(0, len(words) - LONGEST_AS_A_VERB)):
        return None
    match = ANSWER.match(lower, at, body.end)
    return (match.lastgroup or "phrase", match.end()) if match else None


def _introduces(text: str, rule: str, start: int, end: int) -> bool:
    """Whether a mark ends its line and prose follows: "Here is the answer with the final value:", then the solution."""
    return rule in ("marker", "phrase") and "\n" in text[start:end] and len(text[start:end].strip()) > DIRECT_LIMIT


def _end_of(rule: str, body: Body, start: int) -> int | None:
    """Where the statement that begins at `start` ends; None when it never does."""
    text = body.text
    if rule == "box":
        return closing_brace(text, start, min(body.end, start + BOX_LIMIT))
    if rule == "tag":
        end = text.find("</answer>", start, body.end)
        return end if end >= 0 else body.end
    if rule == "json":
        ends = (text.find(mark, start, body.end) for mark in ("\n", "}", ', "', ",\n"))
        return min((end for end in ends if end >= 0), default=body.end)
    return min(line_end(text, start, body.end), start + LENGTH_LIMIT)


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
    """The last sentences, last first, courtesies left out."""
    start, end = trimmed(body.text, max(body.start, body.end - TAIL), body.end)
    edges = [start, *(match.end() for match in SENTENCE_END.finditer(body.text, start, end)), end]
    for left, right in zip(reversed(edges[:-1]), reversed(edges[1:])):
        left, right = trimmed(body.text, left, right)
        if left < right and not COURTESY.match(body.lower, left, right):
            yield Statement(max(left, right - LENGTH_LIMIT), right, "last")


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The window without white space at its ends."""
    window = text[start:end]
    return start + len(window) - len(window.lstrip()), start + len(window.rstrip())
