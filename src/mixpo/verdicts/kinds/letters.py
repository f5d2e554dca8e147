"""Letters that name an option: (B), B., option b, a lone B; not the article "a", a pronoun, a point or a variable."""

import re

from mixpo.verdicts.body import Body
from mixpo.verdicts.reading import Reading
from mixpo.verdicts.statements import Statement

OPENING = r"(?:[\s\"'*`$:({\[<]|\\(?:text|textbf|textit|mathrm|mathbf|boxed|rm|bf)\s*\{?|\\[(\[ ])*+"
NAMED = (
    r"(?:(?:most\s+)?(?:likely|probably|clearly|therefore|thus)\s*,?\s*)?(?:the\s+)?(?:(?:correct|right|best"
    r"|final)\s+)?(?:(?:option|choice|answer|letter|选项)s?\s*(?:is|letter)?\s*:?\s*)?"
)
HEAD = re.compile(rf"{OPENING}{NAMED}{OPENING}([A-Za-z])(?![A-Za-z0-9_'²\u00c0-\u024f])", re.IGNORECASE)
INSIDE = re.compile(
    r"(?<![\w(])\(([A-Z])\)|(?<![\w'(.])([A-Z])\)?\s+(?:is|must be|would be)\s+(?:the\s+|clearly "
    r"|also )?(?:correct|right|best|answer|closest|most)"
    r"|\b(?i:it|this|that|so|thus|hence|therefore|actually|probably|pick|but|but rather|must be|think|believe"
    r"|say|guess|be|is|get|with|select|choose)"
    r"[,:]?\s+[\"'(*]*([A-Z])(?=[\"')*]*[.!,]?\s*$)|(?<![\w(])\[([A-Z])\]"
    r"|\b(?i:option|choice|letter|answer)\b\s*(?:is\b|:)?\s*[\"'(*]*([A-Za-z])(?![\w'])|(?:选项|答案|选)\s*[为是]?\s*:?\s*[(\"]?([A-Z])(?![A-Za-z])"
)
OPEN = re.compile(r"\b(?:could|might|may) (?:also )?be\b[^.\n]{0,60}?\bor\b")
LONE = re.compile(r"[\s\"'*`$({\[]*([A-Za-z])[\s\"'*`$)}\].:]*")
WORD_AFTER = re.compile(r"[ \t]+[a-z]")
OPERATOR_AFTER = re.compile(r"[ \t]*(?:[=<>+*/^≈∥⊥]|-\s*\w|\\(?:in|leq?|geq?|parallel|perp))")
MORE = re.compile(
    r"[)\]}.\"'\s]*(?:,|/|&|;|\bor\b|\band\b|\bto\b|和|或|与)\s*(?:\bor\b|\band\b|both\b)?\s*(?:(?:the\s+)?(?:option|choice)s?\s+)?[\"'(]*([A-Za-z])(?![\w'])",
    re.IGNORECASE,
)
EITHER = re.compile(r"\b(?:either|both|between)\s+(?:the\s+)?(?:(?:option|choice)s?\s+)?[\"'(]*$")
DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|anything but|neither|nor|rather than|instead of|never|except|eliminat\w+|rul\w+ out|exclud\w+)"
    r"|n't|不是|不选|排除|而非)"
    r"\s*(?:be\s+)?(?:the\s+)?(?:(?:option|choice|answer|letter)s?\s*:?\s*)?[\"'(*]*$"
)
DENIED_AFTER = re.compile(
    r"[)\]\"'*]*\s*:?(?:(?:\s*(?!because|since|as\b|for\b)[^\s.,;:!?]++){0,4}?\s+(?:is|are|was|were|would be"
    r"|can be|seems?|looks?)|)\s*"
    r"(?:\bnot\b(?! only)|n't\b|(?:also |clearly |definitely |therefore )*(?:incorrect|wrong|false|excluded"
    r"|eliminated|ruled out|impossible)\b)"
    r"|[)\]\"']*\s*(?:选项)?(?:是)?(?:不正确|错误|错|不对|不符合|不成立|不是)"
)
# Words without which the patterns of the same subject cannot match: most statements hold none, and this tells it fast.
DENIALS_BEFORE = (
    *("not", "n't", "but", "neither", "nor", "than", "instead", "never", "except", "eliminat", "rul", "exclud"),
    *("不", "排除", "而非"),
)
DENIALS_AFTER = ("not", "n't", "incorrect", "wrong", "false", "exclud", "eliminat", "ruled", "impossible", "错", "不")
ALTERNATIVES = ("either", "both", "between")
NOUNS = ("option", "choice", "letter", "answer")
CAPITAL = re.compile(r"[A-Z](?![A-Za-z])")
HEAD_LIMIT = 200
"""Characters at a statement's start in which its letter must stand."""
GLANCE = 60
"""Characters before a letter in which a denial is looked for."""
LOOK = 100
"""Characters after it."""


def letter_read(body: Body, statement: Statement, count: int) -> Reading | None:
    """The letter that a statement names, its value counted from 0; None when it names none."""
    text, start, end = body.text, statement.start, statement.end
    if statement.rule in ("line", "last"):
        lone = LONE.fullmatch(text, start, end)
        if lone and (lone[1].isupper() or statement.rule == "line"):
            return Reading(lone.start(1), lone.end(1), ord(lone[1].upper()) - ord("A"))
    if (
        statement.rule != "last"
        and (head := HEAD.match(text, start, min(end, start + HEAD_LIMIT)))
        and _means_letter(text, head, statement, count)
    ):
        return _judged(body, head.start(1), head.end(1), statement)
    if OPEN.search(body.lower, start, end):
        return Reading(start, end, problem="several letters")
    if not (CAPITAL.search(text, start, end) or _holds(body.lower[start:end], NOUNS)):
        return None
    found = []
    for match in INSIDE.finditer(text, start, end):
        group = match.lastindex or 1
        if match[group].islower() and (
            text[match.start(group) - 1] in " :" and WORD_AFTER.match(text, match.end(group), end)
        ):
            continue  # "answer is a circle", "the option a person would take"
        if (
            count
            and match[group] in "AI"
            and WORD_AFTER.match(text, match.end(group), end)
            and text[match.end(group)] == " "
            and "answer" in match[0].lower()
        ):
            continue
        reading = _judged(body, match.start(group), match.end(group), statement)
        if reading.problem != "denied":
            found.append(reading)
    values = {reading.value for reading in found}
    if len(values) == 1 and None not in values:
        return found[-1]
    return Reading(start, end, problem="several letters") if found else None


def _holds(text: str, words: tuple[str, ...]) -> bool:
    return any(map(text.__contains__, words))


def _means_letter(text: str, head: re.Match[str], statement: Statement, count: int) -> bool:
    """Whether a single letter at the head of a statement is an option's letter."""
    character, at, end = head[1], head.end(1), statement.end
    rest = text[at:end].strip(" \t\n.\"'})*$`]")
    if not rest or text[at : at + 1] == ")":
        return character.isupper() or statement.strict or text[at : at + 1] == ")" or _named(text, head)
    if OPERATOR_AFTER.match(text, at, end) and not (count and re.match(r"\s*[-=]\s", text[at : at + 3])):
        return False
    if character.islower():
        return _named(text, head) and not WORD_AFTER.match(text, at, end)
    if character in "AI" and WORD_AFTER.match(text, at, end) and not _named(text, head):
        return False
    if statement.rule in ("first", "line", "direct") and not _named(text, head):
        return text[at] in ".):]}*,"
    return True


def _named(text: str, head: re.Match[str]) -> bool:
    return (
        re.search(
            r"(?:option|choice|letter|选项)s?\s*:?\s*[\"'(*]*$", head[0][: head.start(1) - head.start()], re.IGNORECASE
        )
        is not None
    )


def _judged(body: Body, left: int, right: int, statement: Statement) -> Reading:
    """The letter at [left, right), unless it is denied or one of several."""
    text = body.text
    before, after = body.lower[max(0, left - GLANCE) : left], body.lower[right : min(statement.end, right + LOOK)]
    if (_holds(before, DENIALS_BEFORE) and DENIED_BEFORE.search(before)) or (
        _holds(after, DENIALS_AFTER) and DENIED_AFTER.match(after)
    ):
        return Reading(left, right, problem="denied")
    more = MORE.match(text, right, statement.end) if right + 1 < statement.end else None
    if more and more[1].upper() != text[left].upper():
        article = more[1] in "aIA" and WORD_AFTER.match(text, more.end())
        variable = more[1].islower() and text[more.start(1) - 1] not in "("
        if not article and not variable:
            return Reading(statement.start, statement.end, problem="several letters")
    if _holds(before, ALTERNATIVES) and EITHER.search(before):
        return Reading(statement.start, statement.end, problem="several letters")
    return Reading(left, right, ord(text[left].upper()) - ord("A"))
