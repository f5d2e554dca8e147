"""Numbers written as mathematics: a formula between dollar signs, in a box, or of LaTeX commands, read as a whole."""

import re
from collections.abc import Iterator

from mixpo.verdicts.body import Body
from mixpo.verdicts.mathematics.conclude import UNREADABLE, concluded
from mixpo.verdicts.mathematics.notation import normal
from mixpo.verdicts.mathematics.structure import (
    ORDER,
    Bracketed,
    Leaf,
    Mathematics,
    Relation,
    Several,
    is_readable,
    read,
)
from mixpo.verdicts.mathematics.values import NoValue, real
from mixpo.verdicts.quantity import HAS_NUMBER, SIGNED, Quantity, finished
from mixpo.verdicts.reading import Undecided
from mixpo.verdicts.units import unit_at_end, unit_of

DELIMITED = re.compile(
    r"\$\$(?P<a>[^$]+)\$\$|(?<!\\)\$(?P<b>(?:[^$\n\\]|\\.)+)\$(?!\d)|\\\((?P<c>.+?)\\\)|\\\[(?P<d>.+?)\\\]"
    # LaTeX without delimiters: commands, groups and what may stand between them
    r"|(?P<e>(?:(?<![A-Za-z\\])[b-zB-HJ-Z](?![A-Za-z]) ?|(?<=[\d+*/^=(-])[aAI](?![A-Za-z])|[-+*/^_=<>(\["
    r"|\d.,{≈±] ?)*(?=\\[A-Za-z,;:!{}%$])"
    r"(?:\\[A-Za-z]+|\\[,;:!{}%$ ]|[-+*/^_=<>()\[\]{}|!'\d.,°≈±×·]|(?<![A-Za-z])[A-Za-z](?![A-Za-z])"
    r"|(?<=\{)[^{}\n]*(?=\})"
    r"|(?<=[\d}=+*/^a-z-]) (?=[-+*/^=\d\\({])| (?=[-+*/^=<>≈\\]))*)",
    re.DOTALL,
)
LINE_BREAKS = re.compile(r"\n\s*\n")
PROSE = re.compile(r"(?<!\\)(?<![A-Za-z{])[A-Za-z]{4,}(?![A-Za-z}])")


def is_prose(inside: str, group: str) -> bool:
    """Whether dollar signs are prices and what stands between them is text."""
    return group == "b" and (PROSE.search(inside) is not None or (inside[-1:] == " " and inside[:1].isdigit()))


def in_mathematics(body: Body, match: re.Match[str], group: str, limit: int) -> Iterator[Quantity]:
    """The values of a piece of mathematics, read as a whole; none where it has no number."""
    (left, right), inside = match.span(group), match[group]
    if LINE_BREAKS.search(inside) or not HAS_NUMBER.search(inside):
        return
    if group == "e":
        stripped = inside.rstrip(" .,")
        right -= len(inside) - len(stripped)
        inside = stripped
        if inside.count("(") < inside.count(")"):
            return
    whole = concluded(read(inside), "")
    parts = whole.items if isinstance(whole, Several) else (whole,)
    if isinstance(whole, Several) and ("±" in inside or not all(isinstance(part, Relation) for part in parts)):
        parts = (Leaf(inside, None),)
    for part in parts:
        found = _of_structure(body, part, left, right)
        if found is not None:
            after = match.end() if group != "e" else right
            yield _with_unit(body, found, after, limit)


def _of_structure(body: Body, part: Mathematics, left: int, right: int) -> Quantity | None:
    part = concluded(part, "")
    if isinstance(part, Bracketed) and part.is_set and len(part.items) == 1:
        part = part.items[0]
    inside = body.text[left:right]
    money = "\\$" in inside
    if isinstance(part, Relation) and set(part.signs) & ORDER:
        return Quantity(left, right, None, "bound")
    if not isinstance(part, Leaf) or part.tree is None:
        unread = isinstance(part, Leaf) and any(sign in part.text for sign in UNREADABLE)
        form = "unread" if unread else "range" if isinstance(part, Bracketed) else "opaque"
        return Quantity(left, right, None, form, written=inside)
    percent = part.tree[0] == "percent"
    tree = part.tree[1] if percent else part.tree
    if not HAS_NUMBER.search(part.text):
        return None
    try:
        found = real(tree)
    except NoValue:
        return Quantity(left, right, None, "opaque")
    except Undecided:
        return Quantity(left, right, None, "too large")
    plain = SIGNED.fullmatch(part.text) is not None
    form = "percent" if percent else "money" if money else "number" if plain else "expression"
    return Quantity(left, right, found, form, part.unit, "$" if money else "")


def _with_unit(body: Body, found: Quantity, after: int, limit: int) -> Quantity:
    """With the unit, percent sign or scale word that follows the mathematics."""
    if found.value is None:
        return found
    outside = finished(body, found.start, after, limit, found.value, found.form)
    return found._replace(
        value=outside.value,
        form=outside.form,
        unit=found.unit or outside.unit,
        scale=outside.scale,
        end=outside.end if outside.end > after else found.end,
    )


def whole_quantity(body: Body, start: int, end: int) -> Quantity | None:
    """What a window is as a whole, where it is one piece of mathematics; without a value where that is no number."""
    text = body.text[start:end]
    if "$" in text.strip("$") or any(sign in text for sign in "€£¥₹¢"):
        return None
    left, right = start + len(text) - len(text.lstrip()), start + len(text.rstrip())
    expression, unit = unit_at_end(normal(text))
    if unit_of(unit) and is_readable(expression):  # "3000 m": metres, where a number is asked for
        measured = _of_structure(body, read(expression), left, right)
        if measured is not None and measured.value is not None:
            return measured._replace(unit=unit)
    if not is_readable(text) and not any(sign in text for sign in UNREADABLE):
        return None
    found = _of_structure(body, read(text), left, right)
    return found or Quantity(left, right, None, "opaque")
