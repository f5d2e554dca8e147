"""What makes a number right, a function a kind; `number` reads which number it is.

Integers are exact ("5.0" is 5, "5.2" is not), fractions too (2/4 is 1/2, 1.5 is 1 1/2; a rounded decimal is not 1/3).
"""

import re
from fractions import Fraction
from functools import lru_cache

from mixpo.records import Question
from mixpo.verdicts.body import Body, plain_body
from mixpo.verdicts.kinds import number, text
from mixpo.verdicts.mathematics import symbolic, values
from mixpo.verdicts.quantities import quantities
from mixpo.verdicts.quantity import Quantity, as_fraction, in_one_unit
from mixpo.verdicts.reading import Reading, Undecided
from mixpo.verdicts.statements import Statement
from mixpo.verdicts.units import conversion, unit_asked, unit_of
from mixpo.verdicts.words import decimal_comma

OUT_OF = re.compile(
    r"(?<![\d.,/])(\d+)(?: [^\W\d_]+)? (?:out of|in|of) (?:the |every |these |those )?(\d+)(?![\d.,/]\d|%)"
)
SIGNS = {"$": "usd", "\u20ac": "eur", "\u00a3": "gbp", "\u00a5": "yen", "\u20b9": "inr"}
CURRENCIES = dict(
    pair.split(":")
    for pair in (
        "dollar:usd euro:eur pound:gbp yen:yen yuan:yen rupee:inr usd:usd eur:eur gbp:gbp peso:peso chf:chf "
        "franc:franc won:won ruble:rub real:brl krona:sek zloty:pln hk$:hkd ca$:cad c$:cad a$:aud au$:aud nz$:nzd "
        "r$:brl s$:sgd"
    ).split()
)
TOLERANCE = Fraction(5, 100)
"""Of relaxed accuracy."""


@lru_cache(maxsize=65536)
def gold_quantity(answer: str) -> Quantity:
    """The number that the ground truth is. Raises Undecided when it is none."""
    body = plain_body(answer)
    found = in_one_unit(body, list(quantities(body, 0, len(answer))))
    if len(found) != 1 or found[0].value is None:
        raise Undecided("the ground truth is no single number")
    return found[0]


def comparable(reading: Reading, question: Question) -> tuple[Fraction, Fraction] | None:
    """The answer's and the ground truth's values in the same unit and scale; None: it is no single number."""
    quantity: Quantity = reading.value
    if quantity.form == "too large":
        raise Undecided("a number beyond all limits")
    gold = gold_quantity(question.answer or "")
    if quantity.form == "unread" and quantity.value is None:
        decided = symbolic.library_says(question.answer or "", quantity.written)
        if decided is None:
            raise Undecided("the formula cannot be read")
        return (as_fraction(gold.value), as_fraction(gold.value)) if decided else None
    other = gold.unit and unit_of(gold.unit) and gold.form not in ("percent", "money")
    if other and (quantity.form == "percent" or (quantity.sign and unit_of(gold.unit) != unit_of("dollar"))):
        return None  # 12 % or $12 for 12 km
    if quantity.form == "exclaimed":
        raise Undecided("an exclamation mark, or a factorial")
    if quantity.value is None or gold.value is None:
        return None
    answer, truth = as_fraction(quantity.value), as_fraction(gold.value)
    if quantity.dotted and truth != answer and decimal_comma(question.text):
        answer *= 1000  # 12.500 is twelve thousand five hundred
    if quantity.scale > 1 and gold.scale == 1 and answer != truth and _asks_for_scale(quantity, question):
        answer = Fraction(answer, quantity.scale)
    if quantity.form == "percent" and gold.form != "percent" and 0 < abs(truth) < 1:
        asked_in_percent = re.search(r"percent|%|百分", question.text.lower()) is not None
        if abs(answer) > abs(truth) * 10 or not asked_in_percent:
            answer = Fraction(answer, 100)  # 25 % for 0.25; for a ground truth of 25 the percent sign is the unit
    asked = gold.unit or question.unit or ("dollar" if gold.sign == "$" else "") or unit_asked(question.text)
    factor = conversion(quantity.unit, asked)
    if factor is None:
        return None
    return (answer if factor == 1 else answer * factor), truth


def _asks_for_scale(quantity: Quantity, question: Question) -> bool:
    """Whether the question asks for millions, so that "3.5 million" means 3.5."""
    asked = f"{question.text} {question.unit or ''}".lower()
    names = {10**3: "thousand", 10**4: "万", 10**6: "million", 10**8: "亿", 10**9: "billion", 10**12: "trillion"}
    return quantity.scale in names and names[quantity.scale] in asked


def exact(answer: Fraction, truth: Fraction) -> bool:
    """Equality; of irrational values (60 digits as a fraction), in 45 digits of their size."""
    if answer == truth:
        return True
    irrational = answer.denominator.bit_length() > 150
    return irrational and abs(answer - truth) <= abs(truth) / 10**values.AGREE


def decimals_of(answer: str) -> int:
    """The decimals that a ground truth shows: 2 for "1,234.50", 0 for "7"."""
    digits = re.search(r"\.(\d+)(?!.*\.\d)", answer)
    return len(digits[1]) if digits else 0


def half_up(value: Fraction, decimals: int) -> int:
    """Rounded to so many decimals, halves away from zero, in units of the last one."""
    scaled = abs(value) * 10**decimals + Fraction(1, 2)
    return (1 if value >= 0 else -1) * (scaled.numerator // scaled.denominator)


def exactly(reading: Reading, question: Question) -> bool:
    """Whether the number is the ground truth's, exactly: integers and fractions."""
    pair = comparable(reading, question)
    return pair is not None and exact(*pair)


def rounded(reading: Reading, question: Question) -> bool:
    """Whether both round, half up, to the same decimal: at the question's precision, else the ground truth's."""
    pair = comparable(reading, question)
    if pair is None:
        return False
    decimals = decimals_of(question.answer or "") if question.precision is None else question.precision
    return half_up(pair[0], decimals) == half_up(pair[1], decimals)


def as_stated(reading: Reading, question: Question) -> bool:
    """Whether the number is the ground truth's: exactly, or at the question's precision where it states one."""
    return (exactly if question.precision is None else rounded)(reading, question)


def percent(reading: Reading, question: Question) -> bool:
    """Whether the percentages are the same at the ground truth's precision.

    25 %, 25 and 25 percent are the same; 0.25 is it only where the answer carries no percent sign.
    """
    gold = gold_quantity(question.answer or "")
    quantity = reading.value
    if quantity.value is not None and quantity.form not in ("percent", "too large") and gold.value is not None:
        decimal_share = 0 < abs(as_fraction(quantity.value)) < 1 <= abs(as_fraction(gold.value))
        if decimal_share:
            reading = reading._replace(value=quantity._replace(value=quantity.value * 100, form="percent"))
    return rounded(reading, question)


def money(reading: Reading, question: Question) -> bool:
    """Whether amount and currency (where both are stated) are the same: separators, trailing zeros aside; cents
    convert."""
    quantity = reading.value
    said = currency(quantity.sign + quantity.unit)
    asked = currency(f"{question.answer} {question.unit or ''}")
    return (said is None or asked is None or said == asked) and rounded(reading, question)


def currency(words: str) -> str | None:
    """The currency that a text names, None when it names none."""
    lower = words.lower()
    # A sign with letters before it is another currency than the sign alone.
    for sign, code in (*sorted(CURRENCIES.items(), key=lambda item: -len(item[0])), *SIGNS.items()):
        if sign in lower:
            return code
    return None


def read_fraction(body: Body, statement: Statement, question: Question) -> Reading | None:
    """The fraction that a statement gives, also as "3 out of 4"."""
    found = list(OUT_OF.finditer(body.lower, statement.start, statement.end))
    if len(found) == 1 and int(found[0][2]):
        match = found[0]
        value = Fraction(int(match[1]), int(match[2]))
        return Reading(match.start(), match.end(), Quantity(match.start(), match.end(), value))
    return number.read(body, statement, question)


def _is_numeric(question: Question) -> bool:
    try:
        return gold_quantity(question.answer or "").value is not None
    except Undecided:
        return False


def read_relaxed(body: Body, statement: Statement, question: Question) -> Reading | None:
    """A number where the ground truth is one, else words."""
    return (number if _is_numeric(question) else text).read(body, statement, question)


def relaxed(reading: Reading, question: Question) -> bool:
    """Relaxed accuracy, ChartQA's metric (arXiv 2203.10244, section 4.1): within 5 % of the ground truth.

    Words, a year, and a ground truth of 0 must be met exactly.
    """
    if not _is_numeric(question):
        return text.right(reading, question)
    pair = comparable(reading, question)
    if pair is None:
        return False
    answer, truth = pair
    gold = gold_quantity(question.answer or "")
    if gold.form == "percent" and reading.value.form != "percent" and 0 < abs(answer) < 1 <= abs(truth):
        answer *= 100
    if re.fullmatch(r"(?:1[5-9]|20)\d\d", (question.answer or "").strip()):
        return answer == truth
    return abs(answer - truth) <= TOLERANCE * abs(truth)
