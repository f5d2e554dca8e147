"""Numbers in running text: digits with separators, words, fractions, powers, percentages, scale words and units.

`quantities(text)` gives them in order with their place. What looks like a number but is not one (a range, a ratio, a
time, a date) is given as well, without a value, so that its parts are never taken for the answer.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from mixpo.verdicts.arithmetic import SUPERSCRIPT, VULGAR, NoValue, TooLarge, Value, evaluate
from mixpo.verdicts.body import Body, plain_body
from mixpo.verdicts.number_words import (
    CHINESE,
    FRACTION_WORDS,
    NUMBER_WORDS,
    ORDINALS,
    chinese_value,
    fraction_value,
    words_value,
)

GROUPED = r"\d{1,3}(?:(?:,|\{,\}|\u202f|')\d{3})+(?![\d])|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
EUROPEAN = r"\d{1,3}(?:\.\d{3})+,\d+(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d,])|(?<![\d,(\[{])\d+,\d{1,2}(?![\d,)\]}]|,)"
DIGITS = rf"(?:{EUROPEAN}|(?:{GROUPED}|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{{1,4}}(?![\w.]\w|\w))?"
BARE = r"\d++(?![.,'\u202f]\d|\{,|e)"
"""Digits with no separator after them: what `DIGITS` would match as well, after trying all else."""
MATH = (
    rf"(?:{BARE}|{DIGITS}|[{''.join(VULGAR)}{''.join(SUPERSCRIPT)}]|\\(?:[dtc]?frac|sqrt|pi|cdot|times|div|left|right|approx)(?![a-zA-Z])"
    r"|sqrt(?=\s*\()|\\[,;:! %$()\[\]]|[-+*/^·×÷√π()\[\]{}=≈%$]|(?<=\d)\s?:\s?(?=\d)|(?<=\d)\s?[xX]\s?(?=\d))"
)
# Matched on text in lower case. Both alternatives begin with a look at the first character: most places hold no number.
RUN = re.compile(
    rf"(?=[^a-z\s]|sqrt)(?:{MATH}[ \u202f]*)+"
    rf"|\b(?=[abdefhmnostz])(?<!['-])(?:(?P<fraction>{FRACTION_WORDS})|(?P<words>(?:{NUMBER_WORDS})(?:(?:[ -]"
    rf"|,? and )(?:{NUMBER_WORDS}))*)"
    rf"|(?P<ordinal>{'|'.join(ORDINALS)}))(?![\w'])|(?P<chinese>{CHINESE})"
)
SIMPLE = r"((?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,15})?)"
PLAIN = re.compile(rf"[ \u202f=:]*{SIMPLE}[ \u202f]*")
ALONE = re.compile(rf"[\s:]*{SIMPLE}[\s.]*")
SIGNED = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
HAS_NUMBER = re.compile(rf"[\dπ{''.join(VULGAR)}]|\\pi")
SPLIT = re.compile(
    r"=|≈|\\approx"
    r"|(?<=[\d)\]}])(?: +|\u202f(?!\d{3}(?!\d)))(?=[\d(\[$\\.])(?!\d+ ?/ ?\d+(?![\d/]))(?!\\[dtc]?frac"
    r"|\\(?:times|cdot|div|approx))"
)
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
RANGE = re.compile(rf"[$(\[ ]*(?:{DIGITS})[ %°]*-+[ ]?\$?(?:{DIGITS})[ %)\]°]*")
COLONS = re.compile(r"\d+(?:\.\d+)?(?:\s?:\s?\d+(?:\.\d+)?)+")
SCALE = re.compile(r"[ \u202f]?(?:(thousand|million|billion|trillion|hundred|dozen|万|亿)\b|(万|亿))")
SCALES = {
    "hundred": 100,
    "dozen": 12,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "万": 10**4,
    "亿": 10**8,
}
PERCENT = re.compile(r"\s?(?:\\?%|percent\b|per cent\b|percentage points?\b|％)")
UNIT = re.compile(r"[ \u202f]?\\?(?:text|mathrm|mbox)?\{?\s*([°²³a-zA-Zμµ\u4e00-\u9fff]+(?:[/^·][a-zA-Z0-9]+)*)")
CALL = re.compile(r"[A-Za-z_]{2,}\([\"'][^\s]*$")
MINUS = re.compile(r"\b(?:minus|negative) $")
CURRENCY = frozenset("$€£¥₹")


class Quantity(NamedTuple):
    """A number in a text, or what looks like one."""

    start: int
    end: int
    value: Value | None
    """None: not a single number (a range, a ratio, a time, a date) or no number at all."""
    form: str = "number"
    """number, word, percent, ordinal, money, expression, range, ratio, date, opaque, too large."""
    unit: str = ""
    """The word after it, when there is one: "cm", "objects"."""
    sign: str = ""
    """The currency sign before it."""
    scale: int = 1
    """The scale word's factor that `value` includes, for example 10**6."""


def quantities(body: Body, start: int, end: int) -> Iterator[Quantity]:
    """The numbers of a window, in order."""
    text = body.text
    for run in RUN.finditer(body.lower, start, end):
        if run.lastgroup:
            value, form = _in_words(run[0], run.lastgroup)
            if value is not None:
                yield _finished(body, run.start(), run.end(), end, value, form)
        elif plain := PLAIN.fullmatch(text, *run.span()):  # most numbers are: no need to take the run apart
            if found := _plain_quantity(body, plain, end):
                yield found
        elif HAS_NUMBER.search(run[0]):
            yield from _run_quantities(body, run.start(), run.end(), end)


def quantities_of(text: str) -> list[Quantity]:
    """The numbers of a whole text: an option, a ground truth."""
    return list(quantities(plain_body(text), 0, len(text)))


def lone_quantity(body: Body, start: int, end: int) -> Quantity | None:
    """The number that a window holds and nothing else, the commonest of answers."""
    alone = ALONE.fullmatch(body.text, start, end)
    return _plain_quantity(body, alone, end) if alone else None


def _plain_quantity(body: Body, plain: re.Match[str], limit: int) -> Quantity | None:
    """The quantity whose digits are the match's group; None: they are an exponent, part of a name, or in a call."""
    (left, right), text = plain.span(1), body.text
    before = text[left - 1 : left]
    if before == "^" or (before.isalpha() and before.isascii()) or _in_call(text, left):
        return None
    value = _value(plain[1].replace(",", ""))
    return _finished(body, left, right, limit, value, "money" if before in CURRENCY else "number")


def _in_call(text: str, left: int) -> bool:
    """Whether a number is the quoted argument of a call in code."""
    return text[left - 1 : left] in "\"'" and CALL.search(text, max(0, left - 30), left) is not None


def _in_words(words: str, group: str) -> tuple[Fraction | None, str]:
    if group == "fraction":
        return fraction_value(words), "word"
    if group == "ordinal":
        return Fraction(ORDINALS[words]), "ordinal"
    return (chinese_value(words) if group == "chinese" else words_value(words)), "word"


def _run_quantities(body: Body, start: int, end: int, limit: int) -> Iterator[Quantity]:
    """The quantities of a maximal run of mathematical characters: split at equals signs and at gaps between numbers."""
    text, edges = body.text, [start]
    for match in SPLIT.finditer(text[start:end]):
        edges += [start + match.start(), start + match.end()]
    edges.append(end)
    for left, right in zip(edges[::2], edges[1::2]):
        left, right = _stripped(text, left, right)
        if left < right and HAS_NUMBER.search(text, left, right):
            yield from _piece(body, left, right, limit)


def _stripped(text: str, left: int, right: int) -> tuple[int, int]:
    """Without operators and unbalanced brackets at the ends; a sign that belongs to the number stays."""
    while True:
        before = left, right
        while left < right and (
            text[left] in " \u202f*/×·÷)]}+=:%^" or (text[left] == "$" and "$" in text[left + 1 : right])
        ):
            left += 1
        while right > left and text[right - 1] in " \u202f-+*/×·÷([{=:$^\\":
            right -= 1
        piece = text[left:right]
        for opening, closing in ("()", "[]", "{}"):
            if piece.startswith(opening) and piece.count(opening) > piece.count(closing):
                left += 1
            elif piece.endswith(closing) and piece.count(closing) > piece.count(opening):
                right -= 1
        if (left, right) == before or left >= right:
            return left, right


def _piece(body: Body, left: int, right: int, limit: int) -> Iterator[Quantity]:
    text = body.text
    piece = text[left:right]
    if left and (
        text[left - 1] == "^" or (text[left - 1].isalpha() and text[left - 1].isascii() and piece[0].isdigit())
    ):
        return  # an exponent of a unit (cm^2), or part of a name (N_0, P1)
    if _in_call(text, left) and piece[0] != "√":
        return  # the argument of a call in code
    if piece[0] == "-" and re.match(r"[a-zA-Z0-9\u00c0-\u052f)\]]", text[left - 1 : left]):
        left, piece = left + 1, piece[1:].lstrip()  # a dash after a word, no sign (but 答案是-5 is -5)
        if not piece:
            return
    if DATE.fullmatch(piece):
        yield Quantity(left, right, None, "date")
    elif COLONS.fullmatch(piece):
        yield Quantity(left, right, None, "ratio")
    elif RANGE.fullmatch(piece):
        yield Quantity(left, right, None, "range")
    else:
        percent = piece.rstrip().endswith("%")
        money = piece[0] in CURRENCY or piece[:2] in ("-$", "\\$") or (left > 0 and text[left - 1] in CURRENCY)
        bare = piece.rstrip("%\\ ").replace("\\$", "").lstrip("$")
        try:
            value = _value(bare) if SIGNED.fullmatch(bare) else evaluate(plain_digits(bare.replace("$", " ")))
        except TooLarge:
            yield Quantity(left, right, None, "too large")
            return
        except NoValue:
            yield Quantity(left, right, None, "opaque")
            return
        form = (
            "percent"
            if percent
            else "money"
            if money
            else "number"
            if bare.strip("-+ ()").replace(",", "").replace(".", "").isdigit()
            else "expression"
        )
        yield _finished(body, left, right, limit, value, form)


def _value(digits: str) -> Value:
    return Fraction(digits) if "." in digits else int(digits)


def plain_digits(text: str) -> str:
    """Digits without separators of thousands and with a decimal point."""
    if any(mark in text for mark in ".,'\u202f"):
        text = re.sub(EUROPEAN, lambda match: match[0].replace(".", "").replace(",", "."), text)
        text = re.sub(GROUPED, lambda match: re.sub(r"\D", "", match[0]), text)
    return re.sub(r"(?<=\d)\s?[xX]\s?(?=\d)", "*", text)


def _finished(body: Body, left: int, right: int, limit: int, value: Value, form: str) -> Quantity:
    """With the scale word, percent sign or unit that follows, and the "minus" in words before it."""
    text, lower, scale, unit = body.text, body.lower, 1, ""
    if (
        lower[left - 2 : left - 1] in ("s", "e")
        and (minus := MINUS.search(lower, max(0, left - 10), left))
        and not text[max(0, minus.start() - 100) : minus.start()].rstrip()[-1:].isdigit()
    ):
        value, left = -value, minus.start()
    if right < limit:
        while scaled := SCALE.match(lower, right, limit):
            factor = SCALES[scaled[1] or scaled[2]]
            scale, value, right = scale * factor, value * factor, scaled.end()
        if form != "percent" and (percent := PERCENT.match(lower, right, limit)):
            form, right = "percent", percent.end()
        if named := UNIT.match(text, right, limit):
            unit = named[1]
    currency = next(filter(CURRENCY.__contains__, text[max(0, left - 1) : left + 2]), "")
    return Quantity(left, right, value, form, unit, currency, scale)


def as_fraction(value: Value) -> Fraction:
    """Exact value of a whole number, a fraction or a float."""
    return value if isinstance(value, Fraction) else Fraction(value)
