"""Numbers in running text: digits with separators, words, fractions, powers, percentages, scale words and units.

`quantities(text)` gives them in order with their place. A piece of mathematics is read as a whole: what looks like a
number but is a part of something else (`5x`, `f(5)`, `5 or more`, a range, a ratio, a time, a date) is given as well,
without a value, so that a part is never taken for the answer.
"""

import re
from collections.abc import Iterator
from fractions import Fraction

from mixpo.number_words import (
    CHINESE,
    MIXED_WORDS,
    NUMBER_WORDS,
    ORDINALS,
    chinese_value,
    fraction_value,
    words_value,
)
from mixpo.verdicts.body import Body, plain_body
from mixpo.verdicts.formula_quantities import DELIMITED, in_mathematics, is_prose
from mixpo.verdicts.languages import NUMBER_WORD, NUMBERS, SECOND_WORD, number_of
from mixpo.verdicts.mathematics.formula import parse
from mixpo.verdicts.mathematics.tree import NotAFormula, letters_of
from mixpo.verdicts.mathematics.values import NoValue, Value, real
from mixpo.verdicts.quantity import CURRENCY, HAS_NUMBER, SIGNED, Quantity, finished
from mixpo.verdicts.reading import Undecided
from mixpo.verdicts.unicode import SUPERSCRIPT, VULGAR

GROUPED = r"\d{1,3}(?:(?:,|\{,\}|\u202f|')\d{3})+(?![\d])|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
EUROPEAN = r"\d{1,3}(?:\.\d{3})+,\d+(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?![\d,])|(?<![\d,(\[{])\d+,\d{1,2}(?![\d,)\]}]|,)"
DIGITS = rf"(?:{EUROPEAN}|(?:{GROUPED}|\d+)(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{{1,4}}(?![\w.]\w|\w))?"
BARE = r"\d++(?![.,'\u202f]\d|\{,|e)"
"""Digits with no separator after them: what `DIGITS` would match as well, after trying all else."""
MATH = (
    rf"(?:\^\{{-?\d+\}}|{BARE}|{DIGITS}|[{''.join(VULGAR)}{''.join(SUPERSCRIPT)}]|sqrt(?=\s*\()|pi(?![a-z])"
    r"|[-+*/^·×÷√π()\[\]=≈%$±]|(?<=[\d ]):(?= ?\d)|(?<=[\d ])[xX](?= ?\d))"
)
# Matched on text in lower case. Both alternatives begin with a look at the first character: most places hold no number.
RUN = re.compile(
    rf"(?=[^a-z\s]|sqrt|pi)(?:{MATH}[ \u202f]*)+"
    rf"|\b(?=[abdefhmnostz])(?<!['-])(?:(?P<fraction>{MIXED_WORDS})|(?P<words>(?:{NUMBER_WORDS})(?:(?:[ -]"
    rf"|,? and )(?:{NUMBER_WORDS}))*)"
    rf"|(?P<ordinal>{'|'.join(ORDINALS)}))(?![\w'])|(?P<chinese>{CHINESE})"
    rf"|(?<!\w)(?P<foreign>(?:{NUMBER_WORD})(?:[ -](?:(?:et|y|e|und|и)[ -])?(?:{SECOND_WORD}))?)(?!\w)"
)
SIMPLE = r"((?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,15})?)"
PLAIN = re.compile(rf"[ \u202f=:]*{SIMPLE}[ \u202f]*")
ALONE = re.compile(rf"[\s:]*{SIMPLE}[\s.]*")
SPLIT = re.compile(r"=|≈|(?<=[\d)\]}])(?: +|\u202f(?!\d{3}(?!\d)))(?=[\d(\[$.])(?!\(?\d+ ?/ ?\d+\)?(?![\d/]))")
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
RANGE = re.compile(rf"[$(\[ ]*(?:{DIGITS})[ %°]*-+[ ]?\$?(?:{DIGITS})[ %)\]°]*")
COLONS = re.compile(r"\d+(?:\.\d+)?(?:\s?:\s?\d+(?:\.\d+)?)+")
CALL = re.compile(r"[A-Za-z_]{2,}\([\"'][^\s]*$")


def quantities(body: Body, start: int, end: int) -> Iterator[Quantity]:
    """The numbers of a window, in order."""
    text = body.text
    if text.find("\\", start, end) >= 0 or text.find("$", start, end) >= 0:
        for match in DELIMITED.finditer(text, start, end):
            group = match.lastgroup or "e"
            if is_prose(match[group], group):
                continue
            yield from _in_text(body, start, match.start(), end)
            yield from in_mathematics(body, match, group, end)
            start = match.end()
    yield from _in_text(body, start, end, end)


def _in_text(body: Body, start: int, end: int, limit: int) -> Iterator[Quantity]:
    position = start
    for found in _runs(body, start, end, limit):
        if found.start >= position:  # a scale word belongs to the number before it
            yield found
            position = found.end


def _runs(body: Body, start: int, end: int, limit: int) -> Iterator[Quantity]:
    text = body.text
    for run in RUN.finditer(body.lower, start, end):
        if run.lastgroup:
            number, form = _in_words(run[0], run.lastgroup)
            if number is not None:
                yield finished(body, run.start(), run.end(), limit, number, form)
        elif plain := PLAIN.fullmatch(text, *run.span()):  # most numbers are: no need to take the run apart
            if found := _plain_quantity(body, plain, limit):
                yield found
        elif HAS_NUMBER.search(run[0]):
            yield from _run_quantities(body, run.start(), run.end(), limit)


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
    if before in ("^", "_") or (before.isalpha() and before.isascii()) or _in_call(text, left):
        return None
    return finished(
        body, left, right, limit, _plain_value(plain[1].replace(",", "")), "money" if before in CURRENCY else "number"
    )


def _in_call(text: str, left: int) -> bool:
    """Whether a number is the argument of a call in code."""
    return text[left - 1 : left] in "\"'(" and CALL.search(text, max(0, left - 30), left) is not None


def _in_words(words: str, group: str) -> tuple[Fraction | None, str]:
    if group == "fraction":
        return fraction_value(words), "word"
    if group == "ordinal":
        return Fraction(ORDINALS[words]), "ordinal"
    if group == "foreign" and words in NUMBERS:
        return number_of(words), "word"
    if group == "foreign":
        parts = [number_of(word) for word in re.split(r"[ -]", words) if word in NUMBERS]
        joined = len(parts) == 1 or (parts[0] >= 20 and parts[0] % 10 == 0 and parts[1] < 10)
        return (sum(parts, Fraction(0)) if joined else None), "word"
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
        while right > left and text[right - 1] in " \u202f-+*/×·÷([{=:$^\\±":
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
        text[left - 1] in "^_" or (text[left - 1].isalpha() and text[left - 1].isascii() and piece[0].isdigit())
    ):
        return  # an exponent of a unit (cm^2), or part of a name (N_0, P1)
    if _in_call(text, left) and piece[0] != "√":
        return  # the argument of a call in code
    if piece[0] == "(" and text[left - 1 : left].isascii() and text[left - 1 : left].isalpha():
        yield Quantity(left, right, None, "opaque")  # f(5), exit(0)
        return
    if piece[0] == "-" and re.match(r"[a-zA-Z0-9\u00c0-\u052f)\]]", text[left - 1 : left]):
        if re.search(r"(?<![A-Za-z])[A-Za-z]$", text[max(0, left - 2) : left]):
            yield Quantity(left, right, None, "opaque")  # x-5
            return
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
        yield _evaluated(body, left, right, limit, piece)


def _evaluated(body: Body, left: int, right: int, limit: int, piece: str) -> Quantity:
    text = body.text
    percent = piece.rstrip().endswith("%")
    money = piece[0] in CURRENCY or piece[:2] in ("-$", "\\$") or (left > 0 and text[left - 1] in CURRENCY)
    bare = piece.rstrip("%\\ ").replace("\\$", "").lstrip("$")
    try:
        found = _plain_value(bare) if SIGNED.fullmatch(bare) else real(_tree(plain_digits(bare.replace("$", " "))))
    except Undecided:
        return Quantity(left, right, None, "too large")
    except (NoValue, NotAFormula):
        return Quantity(left, right, None, "opaque")
    simple = bare.strip("-+ ()").replace(",", "").replace(".", "").isdigit()
    form = "percent" if percent else "money" if money else "number" if simple else "expression"
    return finished(body, left, right, limit, found, form)


def _tree(text: str) -> tuple:
    tree = parse(text)
    if letters_of(tree):
        raise NoValue("letters")
    return tree[1] if tree[0] == "deg" else tree


def _plain_value(digits: str) -> Value:
    return Fraction(digits) if "." in digits else Fraction(int(digits))


def plain_digits(text: str) -> str:
    """Digits without separators of thousands and with a decimal point."""
    if any(mark in text for mark in ".,'\u202f"):
        text = re.sub(EUROPEAN, lambda match: match[0].replace(".", "").replace(",", "."), text)
        text = re.sub(GROUPED, lambda match: re.sub(r"\D", "", match[0]), text)
    return re.sub(r"(?<=\d)\s?[xX]\s?(?=\d)", "*", text)
