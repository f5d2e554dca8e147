"""Lines of a chain of thought, however they are written: without markup, and their arithmetic checked."""

import operator
import re
from fractions import Fraction

UNIT = r"(?: ?(?:°|[ckm]?m|[ap]\.?m\.?)|(?: (?!(?:{})\b)[a-z]+){{1,2}})?".format(
    "more|less|fewer|times|minus|plus|not|nor|and|or|than|past|to|of|too|but|so|if|[a-z]+er"
)
"""What a number may count; words that compare it with another one make no claim."""
TERMS = r"-?\d{1,9}(?: [+*/-] -?\d{1,9})*"
SUM = re.compile(rf"(?:\(({TERMS})\)|({TERMS})) = (-?\d{{1,9}}){UNIT}")
ORDER = re.compile(r"(-?\d{1,9}) ([<>=]) (-?\d{1,9})")
ORDERS = {"<": operator.lt, ">": operator.gt, "=": operator.eq}
LEAD = re.compile(
    r"^(?:(?:so|thus|then|hence|therefore|and|now|first|next),? |step \d+[:.)]? |\(?\d+[.)] |\(?[a-z]\) |[-*•] )+"
)
"""What may stand before a claim: it says nothing of its own."""
EMPHASIS = re.compile(r"\*\*|__|[`$]|(?<![\w*)] )(?<![\w*)])\*(?=[^\W\d][^*]*\*)|(?<=\w)\*(?!\s*[\d(])")
SIGNS = str.maketrans("−–×·÷’", "--**/'")


def plain(line: str) -> str:
    """Lower case, without markup, full stop and what leads up to a claim; blanks around signs of arithmetic."""
    line = " ".join(EMPHASIS.sub("", line.translate(SIGNS).lower()).split())
    line = re.sub(r"(?<=[\d)]) ?([+*/<>=-]) ?(?=-?\(?\d)", r" \1 ", line)
    return LEAD.sub("", line.rstrip(".,;! "), count=1)


def arithmetic(text: str) -> bool | None:
    """Whether a sum, or what is larger, is right; None: it is neither."""
    try:
        if match := SUM.fullmatch(text):
            return _value(match[1] or match[2]) == int(match[3])
    except ZeroDivisionError:
        return False
    if match := ORDER.fullmatch(text):
        return ORDERS[match[2]](int(match[1]), int(match[3]))
    return None


def _value(terms: str) -> Fraction:
    """A sum of products, from left to right. Raises ZeroDivisionError."""
    total, sign, product, divided = Fraction(), 1, None, False
    for part in terms.split(" "):
        if part in "*/":
            divided = part == "/"
        elif part in "+-" and product is not None:
            total, product, sign = total + sign * product, None, (1 if part == "+" else -1)
        elif product is None:
            product = Fraction(part)
        else:
            product = product / int(part) if divided else product * int(part)
    return total + sign * (product or 0)
