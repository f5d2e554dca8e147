"""Where a response marks its answer: a box, a tag, a JSON key, a heading, a marker ("Answer:"), "the answer is".

Marks are looked for from the end: the last one stands, an earlier guess does not. All languages share one shape, a noun
for the answer and then a colon or a word for "is"; `languages` has the words.
"""

import re
from collections.abc import Iterator
from itertools import islice

from mixpo.verdicts.body import Body
from mixpo.verdicts.languages import every, one_of
from mixpo.verdicts.statements import DIRECT_LIMIT, LENGTH_LIMIT, Statement, closing_brace, line_end

BOX_LIMIT = 2_000
"""Characters in which a box must close: longer ones are no answer, and the scan stays linear."""
MARKS = 40
"""Marked statements looked at, from the last one back."""
CHOICES_MADE = tuple("choos,select,pick,go with,going with,go for,going for,settl,opt for,opting for".split(","))
KEYWORD_LIMIT = 1_000
"""Words that may begin a mark that are looked at, from the last one back."""
WINDOW = 50
"""Characters before the end in which such words are looked for first: mostly the last mark stands there."""
FOREIGN_NOUNS = [word for word in every("answer") if not word.isascii() or word not in ("option", "solution")]
# Every alternative begins with a letter, so that the search skips to the next letter that begins one.
ENGLISH = (
    "a(?<![a-z]a)ns|cho(?:ice|os)|select|option|result|letter|value|pick|boxed|fbox|begin_of_box|guess"
    "|go(?:ing)? (?:with|for)|settl|opt(?:ing)? for"
    "|conclusion|final|verdict|prediction|output|####|选|選|而是|"
)
KEYWORD = re.compile(ENGLISH + "|".join(map(re.escape, FOREIGN_NOUNS)))
ASCII_KEYWORD = re.compile(
    ENGLISH.replace("|选|選|而是", "") + "|".join(re.escape(word) for word in FOREIGN_NOUNS if word.isascii())
)
"""The same for texts that have none of the others: a shorter pattern is faster."""
LONGEST_KEYWORD = 16
VERB = (
    r"\b(?:is|are|was|were|would be|will be|should be|must be|has to be|seems to be|appears to be|comes? "
    r"(?:out )?to|equals)\b"
)
ANSWER = re.compile(
    rf"ans(?:wer)?(?![a-rt-z]|s?\s+(?:choices|options))(?:\s+(?:letter|choice|option))?\s*(?:\([^()\n]{{0,30}}\)\s*)?"
    rf"(?:(?P<marker>[:=](?!=)|-(?= \S)|->|→|➜|➡|⇒|=>)|(?!s?\s+(?:choices"
    rf"|options))[^.!?\n:=]{{0,100}}?(?P<phrase>{VERB}\s*:?))"
)
NOUN = re.compile(
    rf"(?:option|choice|letter|guess|pick|value|result|verdict|prediction|output"
    rf"|conclusion)s?(?:\s+(?:letter|choice|option))?\s*"
    rf"(?:(?P<marker>[:=](?!=))|[^.!?\n:=]{{0,100}}?(?P<phrase>{VERB}\s*:?))"
)
QUALIFIED = re.compile(
    r"\b(?:correct|right|best|final|appropriate|closest|nearest|likely|suitable|my|accurate|true"
    r"|matching)\s+(?:\w+\s+)?$"
)
LINE_START = re.compile(r"(?:^|\n)[ \t#>*\-\[]*$")
TITLE = r"(?:the |my |final |correct |best |right )*(?:ans(?:wer)?|choices?|option|result|verdict)"
HEADING = re.compile(
    rf"[ \t>]*(?:#{{1,6}}[ \t]*(?:\d+[.)] ?)?\**[ \t]*(?:{TITLE}|答案|結果|回答)\**[ \t]*:?[ \t]*\n"
    rf"|\[(?:{TITLE}|答案|正解|回答|정답)\][ \t]*:?|(?:final |correct )?answer[ \t]*:?[ \t]*\n)"
)
TAG = re.compile(
    r"<(?P<name>(?:final[_ -]?|correct[_ -]?)?(?:answer|ans|choice|option|result|output)|conclusion|final)>"
)
BRACKET_TAG = re.compile(r"\[(?P<name>(?:final[_ -]?)?(?:answer|ans))\]")
KEY = re.compile(
    r"[\"'](?:final[_ ]?|correct(?:ed)?[_ ]?|revised[_ ]?|predicted[_ ]?|my[_ ]?)?(?:answer|ans|choice|option|result"
    r"|prediction|output)(?:[_ ](?:letter|choice|option|text))?"
    r"[\"']\s*[:=]\s*[\"']?"
)
PROVISIONAL_MARK = re.compile(
    r"\b(?:provisional|tentative|preliminary|initial|first|earlier|previous|wrong|incorrect|obvious"
    r"|expected|naive|common|tempting|false|(?:least|worst) \w+)\s+$"
)
OTHERS = re.compile(
    r"\b(?:avoid|previous|earlier|example|whether|student|students|people|beginner|not|exclude|excluded"
    r"|worst|wrong|incorrect)\b"
)
DOUBTED = re.compile(
    r"\b(?:doubt|false|untrue|hard to say|not sure|don't think|do not think|unlikely|impossible"
    r"|deny)\b(?: if| whether| that)?"
    r"\s+(?:the )?(?:correct |final |right )?$"
)
CONDITIONAL = re.compile(r".*\bwould be\s*:?")
IF = re.compile(r"\bif\b[^.!?\n]*$")
BOX = re.compile(r"f?box(?:ed)?\s?\{|boxed +(?=[\w-])")
AS_A_VERB = re.compile(
    r"\b(?:to|can|could|cannot|can't|please|not|must|should|i|we|you|here is the|here's the|here is my)$"
)
LONGEST_AS_A_VERB = len("here is the")
CHOOSING = re.compile(
    r"(?:choose|choosing|select(?:ing)?|pick(?:ing)?|go(?:ing)? (?:with|for)|settl(?:e|ing) (?:on|for)"
    r"|opt(?:ing)? for|guess)(?P<phrase>\s*:?)(?=\s)"
)
CHOOSER = re.compile(
    r"(?:^|[.!?\n—-])\s*$|\b(?:i|we|i'd|i'll|i would|i will|would|i'm|i am|i'm going to|let's|i have to|i must)\s+$"
)
CHINESE = re.compile(
    r"(?:答案|(?<!各)选项|選項|结果|結果)(?:应该|应当|应)?(?P<phrase>(?:是|为|為|选|選)+(?:选项|選項|:)*)|(?:答案|答|结果|結果)(?P<marker>:)"
    r"|选项(?P<marker2>:)|而是(?=\s*[(\"]?[A-Z])|(?<=故)[选選]|(?<=[应所])[选選](?!项|項)|[选選]择?(?=\s*[(:]?[A-Z](?![A-Za-z]))"
)
FOREIGN = re.compile(
    rf"{one_of('answer', without=('zh',))}(?:[^.!?\n:]{{0,40}}?(?P<phrase>"
    rf"{one_of('be', without=('zh', 'hi'))}\s*:?)|[^.!?\n:]{{0,25}}?(?P<marker>:)"
    r"|(?P<hindi>\s+)(?=[^।.\n]{1,60}है))"
)
NOT = re.compile(r"\b(?:non?|n'est pas|nicht|não|не)\b|不是|ではな|아니")


def marked_statements(body: Body) -> Iterator[Statement]:
    """What the model marked as its answer, the last first, without empty marks, but with an open or empty last box."""
    seen, first = 0, True
    for keyword in islice(_keywords(body), KEYWORD_LIMIT):
        found = _mark(body, keyword)
        if found is None:
            continue
        rule, start = found
        end = _end_of(rule, body, start, keyword)
        if (
            end is not None
            and body.text[start:end].strip(" \t\n.*$:{}")
            and not _introduces(body.text, rule, start, end)
        ):
            yield Statement(start, end, rule)
            first = False
        elif rule == "box" and first and (end is None or not body.text[start:end].strip()):
            yield Statement(start, start, "open box")
        seen += 1  # a mark that never closes counts as well: looking for its end is what costs
        if seen == MARKS:
            return


def _keywords(body: Body) -> Iterator[int]:
    """Where words stand that may begin a mark, the last first; what stands before the answer is not searched."""
    right, window = body.end, WINDOW
    pattern = ASCII_KEYWORD if body.lower.isascii() else KEYWORD
    while right > body.start:
        left = max(body.start, right - window)
        found = pattern.finditer(body.lower, left, min(body.end, right + LONGEST_KEYWORD - 1))
        yield from reversed([at for match in found if (at := match.start()) < right])
        right, window = left, 2 * window


def _mark(body: Body, at: int) -> tuple[str, int] | None:
    """The rule of the mark whose keyword stands at `at`, and where its statement starts."""
    text, lower, first = body.text, body.lower, body.lower[at]
    if lower.startswith(("boxed", "fbox"), at):
        brace = BOX.match(lower, at)
        return ("box", brace.end()) if text[at - 1 : at] == "\\" and brace else None
    if lower.startswith("begin_of_box", at):
        return "box", at + len("begin_of_box|>")
    if first == "#":
        return ("marker", at + 4) if text[at - 1 : at] in ("", "\n", "#") else None
    chinese = first in "选選而" or lower.startswith(("答", "结", "結"), at)
    if chinese and (match := CHINESE.match(text, at, body.end)):
        return "marker" if match.lastgroup in ("marker", "marker2") else "phrase", match.end()
    if not text[at].isascii() or not lower.startswith(("ans", "option", "result"), at):
        foreign = FOREIGN.match(lower, at, body.end)
        if foreign and NOT.search(foreign[0]):
            return None
        if foreign and not (first.isascii() and text[at - 1 : at].isalpha()):
            return "marker" if foreign.lastgroup == "marker" else "phrase", foreign.end()
    structured = _structured_mark(body, at)
    if structured is not None:
        return structured
    if first == "a":
        return _answer_mark(body, at)
    return _noun_mark(body, at) if text[at].isascii() else None


def _structured_mark(body: Body, at: int) -> tuple[str, int] | None:
    """A tag, a JSON key or a heading whose keyword stands at `at`."""
    lower = body.lower
    left = max(body.start, at - 20)
    for opening, pattern, rule in (
        ("<", TAG, "tag"),
        ("[", BRACKET_TAG, "tag"),
        ("'", KEY, "json"),
        ('"', KEY, "json"),
    ):
        before = lower.rfind(opening, left, at)
        if before >= 0 and (match := pattern.match(lower, before, body.end)) and match.end() > at:
            if pattern is BRACKET_TAG and f"[/{match['name']}]" not in lower[at : body.end]:
                rule = "marker"  # "[REASONING] … [ANSWER] B"
            return rule, match.end()
    line = max(lower.rfind("\n", max(body.start, at - 40), at) + 1, body.start)
    if at - line < 40 and (heading := HEADING.match(lower, line, body.end)) and heading.end() > at:
        return "heading", heading.end()
    return None


def _noun_mark(body: Body, at: int) -> tuple[str, int] | None:
    """As `_mark`, for "I choose", "the best option is" and the like."""
    lower, first = body.lower, body.lower[at]
    before = lower[max(body.start, at - 40) : at]
    if lower.startswith(CHOICES_MADE, at):
        match = CHOOSING.match(lower, at, body.end) if CHOOSER.search(before) else None
    else:
        told = QUALIFIED.search(before) or before.endswith("option ") or LINE_START.search(before)
        match = NOUN.match(lower, at, body.end) if told else None
        if match is None and first == "g" and CHOOSER.search(before):
            match = CHOOSING.match(lower, at, body.end)
        if match is not None and LINE_START.search(before) and not QUALIFIED.search(before):
            plural = lower.startswith(("options", "choices", "value", "results", "output"), at)
            if match.lastgroup != "marker" or (plural and not lower.startswith("choices", at)):
                return None  # "Value is …" begins many a sentence, "Options:" a list
    return (match.lastgroup or "phrase", match.end()) if match else None


def _answer_mark(body: Body, at: int) -> tuple[str, int] | None:
    """As `_mark`, for "ans" and "answer"."""
    lower = body.lower
    words = lower[max(body.start, at - 40) : at]
    stripped = words.rstrip()
    if len(stripped) < len(words) and AS_A_VERB.search(stripped, max(0, len(stripped) - LONGEST_AS_A_VERB)):
        return None
    match = ANSWER.match(lower, at, body.end)
    if match and match["phrase"] is not None and OTHERS.search(match[0]):
        return None  # "the answer to avoid is"
    if match and (
        PROVISIONAL_MARK.search(words)
        or DOUBTED.search(words)
        or (CONDITIONAL.fullmatch(match[0]) and IF.search(lower, max(body.start, at - 150), at))
    ):
        return None  # "my first answer is", "if that is a frame, the answer would be"
    return (match.lastgroup or "phrase", match.end()) if match else None


def _introduces(text: str, rule: str, start: int, end: int) -> bool:
    """Whether a mark ends its line and prose follows: "Here is the answer with the final value:", then the solution."""
    return rule in ("marker", "phrase") and "\n" in text[start:end] and len(text[start:end].strip()) > DIRECT_LIMIT


def _end_of(rule: str, body: Body, start: int, keyword: int) -> int | None:
    """Where the statement that begins at `start` ends; None when it never does."""
    text, limit = body.text, min(body.end, start + LENGTH_LIMIT)
    if rule == "box" and body.lower.startswith("begin_of_box", keyword):
        end = text.find("<|end_of_box", start, limit)
        return end if end >= 0 else None
    if rule == "box" and text[start - 1] != "{":
        stop = re.search(r"[\s$.,]", text[start:limit])
        return start + stop.start() if stop else limit
    if rule == "box":
        return closing_brace(text, start, min(body.end, start + BOX_LIMIT))
    if rule == "tag":
        ends = (text.find(mark, start, limit) for mark in ("</", "[/"))
        return min((end for end in ends if end >= 0), default=limit)
    if rule == "json" and text[start - 1] in "\"'":
        quote = re.compile(rf"(?<!\\){text[start - 1]}").search(text, start, limit)
        return quote.start() if quote else limit
    if rule == "json":
        if text.startswith("[", start) and (close := text.find("]", start, limit)) >= 0:
            return close + 1
        ends = (text.find(mark, start, limit) for mark in ("\n", "}", ', "', ",\n"))
        return min((end for end in ends if end >= 0), default=limit)
    return min(line_end(text, start, body.end), start + LENGTH_LIMIT)
