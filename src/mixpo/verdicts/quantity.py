"""A number in a text with what stands around it: its unit, its scale word, what makes it a part of another value."""

import re
from fractions import Fraction
from typing import NamedTuple

from mixpo.number_words import LARGE
from mixpo.verdicts.body import Body
from mixpo.verdicts.mathematics.values import Value, plus, times
from mixpo.verdicts.unicode import VULGAR
from mixpo.verdicts.units import conversion, unit_of

JOINS = re.compile(r"[\s,]*(?:and|y|et|und|e|и|와|과)?\s*")
SIGNED = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
HAS_NUMBER = re.compile(rf"[\dπ{''.join(VULGAR)}]|(?<![a-z])pi(?![a-z])", re.IGNORECASE)
SCALE = re.compile(r"[ \u202f]?(?:(thousand|million|billion|trillion|hundred|dozen|万|亿|만|억)\b|(万|亿|만|억))")
SCALES = LARGE | dict.fromkeys("万만", 10**4) | dict.fromkeys("亿억", 10**8)
PERCENT = re.compile(
    r"\s?(?:\\?%|percent\b|per cent\b|percentage points?\b|％|por ciento\b|pour ?cent\b|prozent\b|процент)"
)
UNIT = re.compile(
    r"[ \u202f]?\\?(?:text|mathrm|mbox)?\{?\s*((?:(?:square|cubic|degrees?|metres?|meters?|miles?|km|feet|平方"
    r"|立方)[ -]?"
    r"(?:per )?)*[°²³¢a-zA-Zμµ\u00c0-\u024f\u0400-\u04ff\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]+"
    r"(?:\^\{?\d\}?|[²³])?(?:[/^·][a-zA-Z0-9]+(?:\^\{?\d\}?|[²³])?)*(?: (?:squared|cubed|per (?:second"
    r"|hour|minute|liter|litre)))?)"
)
MINUS = re.compile(r"\b(?:minus|negative|menos|moins|meno|минус) $|(?:负|マイナス|음수 )$")
SUFFIXES = {"k": 10**3, "K": 10**3, "M": 10**6, "B": 10**9}
CURRENCY = frozenset("$€£¥₹")
BEFORE = re.compile(
    r"(?:(?<![a-z])[a-z]\(|(?<![a-z])[a-z] ?[+*/^] ?|(?<![a-z])[a-z]-|(?<=[a-z)] )[a-z] ?[+*/^] ?|[_^]\{?|[±|⌊⌈]"
    r"|\b(?:square|cube|\w+th) root of |\broot of |√|\b(?:log|ln|log(?:arithm)?(?: base \w+)?|sine?"
    r"|cosine?|tan(?:gent)?|factorial"
    r"|square|cube|reciprocal|absolute value|multiples?|power|thousands|hundreds|dozens|tens)(?: of)? ?"
    r"|\bmod(?:ulo)?\s*\(?|\b(?:plus or minus|give or take|twice|double|triple|thrice|half|(?:two|three"
    r"|four|five|six|ten|\d+) times) )$"
)
"""What stands before a number of which that number is only a part."""
AFTER = re.compile(
    r"(?:\s*\^|_|‰|!(?![\s\"*)]|$)| ?[+*/·×] ?(?:[a-z](?![a-z])|\()|-[a-z](?![a-z])|\s*± ?"
    r"| ?\(?(?:mod|modulo)\b| ?(?:squared|cubed|factorial)(?! \w*(?:met|inch|feet|foot|cent|kilo|unit))\b|'(?![a-z])|′"
    r"| to the (?:power|\w+th|second|third)\b| or (?:more|less|fewer|so|above|below|higher|lower|greater"
    r"|over|under)\b|(?:\+|-plus)(?![\w\s])"
    r"| (?:and|&) (?:above|over|up|below|under|more)\b| (?:plus|minus) (?!or)\w|\s?(?:以上|以下|多个|个以上|左右两)"
    r"| ?(?:o más|ou plus|oder mehr|o più|ou mais|или больше)\b)"
)
"""What stands behind a number and makes it a part of another value."""
DOTTED = re.compile(r"-?[1-9]\d{0,2}\.\d{3}")
GLUED = re.compile(r"[A-Za-z]+")
ORDINAL_ENDS = frozenset(("st", "nd", "rd", "th", "s", "k", "K", "M", "B"))


class Quantity(NamedTuple):
    """A number in a text, or what looks like one."""

    start: int
    end: int
    value: Value | None
    """None: not a single number (a range, a ratio, a time, a date), a part of a larger value, or no number at all."""
    form: str = "number"
    """number, word, percent, ordinal, money, expression, bound, exclaimed (`5!` in prose), range, ratio, date,
    unread (a formula for the library), opaque, too large."""
    unit: str = ""
    """The word after it, when there is one: "cm", "objects"."""
    sign: str = ""
    """The currency sign before it."""
    scale: int = 1
    """The scale word's factor that `value` includes, for example 10**6."""
    dotted: bool = False
    """Whether it is written with a point before exactly three digits: "12.500", thousands in some languages."""
    written: str = ""
    """A formula that only the library may read: a sum, an integral."""


def finished(body: Body, left: int, right: int, limit: int, found: Value, form: str) -> Quantity:
    """With the scale word, percent sign or unit that follows, and the "minus" in words before it."""
    text, lower, scale, unit = body.text, body.lower, 1, ""
    if (
        lower[left - 1 : left] in (" ", "负", "ス")
        and (minus := MINUS.search(lower, max(0, left - 10), left))
        and not text[max(0, minus.start() - 100) : minus.start()].rstrip()[-1:].isdigit()
    ):
        found, left = -found, minus.start()
    if _is_part(body, left, right, limit):
        return Quantity(left, right, None, "opaque")
    if right < limit:
        while scaled := SCALE.match(lower, right, limit):
            factor = SCALES[scaled[1] or scaled[2]]
            scale, found, right = scale * factor, found * factor, scaled.end()
        if form != "percent" and (percent := PERCENT.match(lower, right, limit)):
            form, right = "percent", percent.end()
        if text[right : right + 1] in SUFFIXES and not text[right + 1 : right + 2].isalnum():
            scale = SUFFIXES[text[right]]  # 4K, $12k, 3M
            found, right = found * scale, right + 1
        if named := UNIT.match(text, right, limit):
            unit = named[1]
        if scale > 1 and AFTER.match(lower, right, limit):
            return Quantity(left, right, None, "opaque")
    if text[right : right + 1] == "!" and form == "number" and text[right : right + 2] != "!=":
        if re.match(r"! ?[=*/·^]", text[right : right + 3]):
            return Quantity(left, right, None, "opaque")  # 4! = 24
        form = "exclaimed"
    currency = next(filter(CURRENCY.__contains__, text[max(0, left - 1) : left + 2]), "")
    sign = left if text[left] in CURRENCY else left - 1
    if (
        currency
        and (prefixed := re.search(r"(?<![A-Za-z])[A-Z]{1,3}$", text[max(0, sign - 4) : sign]))
        and prefixed[0] != "US"
    ):
        unit = prefixed[0] + currency  # HK$, R$
    dotted = DOTTED.fullmatch(text, left, right) is not None
    return Quantity(left, right, found, form, unit, currency, scale, dotted)


def _is_part(body: Body, left: int, right: int, limit: int) -> bool:
    """Whether a number is a part of a larger value: a factor, an argument, an index, a bound."""
    text, lower = body.text, body.lower
    if BEFORE.search(lower, max(0, left - 24), left):
        return True
    if right >= limit:
        return False
    quoted = text[left - 1 : left] == "'" == text[right : right + 1]
    if not quoted and AFTER.match(lower, right, limit):
        return True
    glued = GLUED.match(text, right, limit)
    if glued is None or not text[right - 1].isdigit():
        return False
    word = glued[0]
    if word == "s" and re.match(r"[12]\d\d0$", text[max(0, right - 4) : right]):
        return True  # a decade
    # "5x", "3i", "5ab": letters that touch a number are a unit, a noun, or mathematics
    return len(word) < 3 and word not in ORDINAL_ENDS and unit_of(word) is None


def as_fraction(number: Value) -> Fraction:
    """The exact value of a fraction, or the fraction that 60 digits are."""
    if isinstance(number, int | Fraction):
        return Fraction(number)
    sign, mantissa, exponent, _ = number._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)


def in_one_unit(body: Body, found: list[Quantity]) -> list[Quantity]:
    """Quantities in two units as one: "2 h 30 min", "3 dollars and 25 cents", 5 ft 10 in."""
    joined: list[Quantity] = []
    for quantity in found:
        before = joined[-1] if joined else None
        if before and before.value is not None and quantity.value is not None and before.unit and quantity.unit:
            between = body.text[before.end : quantity.start].replace(before.unit, "", 1)
            factor = conversion(quantity.unit, before.unit)
            if unit_of(before.unit) and unit_of(quantity.unit) and factor and factor < 1 and JOINS.fullmatch(between):
                total = plus(before.value, times(quantity.value, factor))
                joined[-1] = before._replace(value=total, end=quantity.end)
                continue
        joined.append(quantity)
    return joined
