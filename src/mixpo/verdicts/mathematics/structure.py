"""What a piece of mathematics is as a whole: a value, a relation, brackets, several answers, a matrix.

`read` takes the text apart at the signs that stand outside all brackets, the loosest first: "or", commas, unions,
relations, brackets. What is left is a leaf, parsed to its last character; a leaf without a tree could not be read and
equals nothing but the same text.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from mixpo.verdicts.mathematics.formula import parse
from mixpo.verdicts.mathematics.notation import FUNCTIONS, GREEK, SET_CLOSE, SET_OPEN, normal
from mixpo.verdicts.mathematics.tree import NotAFormula, Tree
from mixpo.verdicts.units import unit_at_end, unit_of

OPENING, CLOSING = "([{" + SET_OPEN, ")]}" + SET_CLOSE
GROUPED = re.compile(r"(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?![\d,])")
OR = re.compile(r"\s+(?:or|and)\s+|\s*[,;]\s*(?:(?:or|and)\s+)?|\s*∨\s*")
UNION = re.compile(r"\s*∪\s*")
RELATION = re.compile(r"\s*(:=|=|≈|<|>|≤|≥|≠|∈|→|←|↔|∥|⊥|≅|∼|≡|⊂|⊆|∩|∖|∧|:)\s*")
MATRIX = re.compile(r"\\begin \{([pbB]?matrix|array)\}(?:\{[lcr|]*\})?(.*)\\end \{\1\}")
SCALED = re.compile(r"(\S.{0,100}?) ?\*? ?(\\begin \{[pbB]?matrix\}.*)")
CASES = re.compile(r"\\begin \{cases\}(.*)\\end \{cases\}")
IF = re.compile(r"^\s*,?\s*(?:«?(?:if|for|when)»?\b)?\s*")
POINT = re.compile(r"([A-Z]'?)\s*(\(.*,.*\))")
ORDER = frozenset("<>≤≥")
DEEPEST = 12


class Leaf(NamedTuple):
    """A single expression."""

    text: str
    """In the notation of `normal`, without spaces and without its unit."""
    tree: Tree | None
    """None: it could not be read to its end."""
    unit: str = ""


class Bracketed(NamedTuple):
    """A tuple, an interval, a list or a set, by its brackets."""

    opening: str
    closing: str
    items: tuple["Mathematics", ...]

    @property
    def is_set(self) -> bool:
        return self.opening == SET_OPEN


class Relation(NamedTuple):
    """a = b, a < x ≤ b, a : b, x ∈ A: sides and the signs between them."""

    sides: tuple["Mathematics", ...]
    signs: tuple[str, ...]


class Several(NamedTuple):
    """Values joined by "or", "and", commas or ±."""

    items: tuple["Mathematics", ...]
    joined: str = "or"
    """"and" where nothing else joins them."""


class Union(NamedTuple):
    """A ∪ B."""

    items: tuple["Mathematics", ...]


class Matrix(NamedTuple):
    """Rows of entries."""

    rows: tuple[tuple["Mathematics", ...], ...]


class Cases(NamedTuple):
    """A value in each of several cases."""

    rows: tuple[tuple["Mathematics", "Mathematics"], ...]


class Point(NamedTuple):
    """A(1, 2)."""

    name: str
    place: "Mathematics"


Mathematics = Leaf | Bracketed | Relation | Several | Union | Matrix | Cases | Point


@lru_cache(maxsize=65536)
def read(text: str) -> Mathematics:
    """The structure of a whole text that is meant as mathematics."""
    text = normal(text).lstrip("=≈ ")
    plain_set = text.startswith("{") and text.endswith("}") and "," in text
    return _read(SET_OPEN + text[1:-1] + SET_CLOSE if plain_set else text, 0)


def _read(text: str, depth: int) -> Mathematics:
    text = text.strip(" ,;")
    text = text[:-1].rstrip() if text.endswith(".") else text
    if depth > DEEPEST:
        return _leaf(text)
    if matrix := MATRIX.fullmatch(text):
        rows = [row for row in matrix[2].split("\\\\") if row.strip()]
        return Matrix(tuple(tuple(_read(entry, depth + 1) for entry in row.split("&")) for row in rows))
    if scaled := SCALED.fullmatch(text):
        whole, factor = _read(scaled[2], depth + 1), _leaf(scaled[1])
        if isinstance(whole, Matrix) and factor.tree:
            return Matrix(tuple(tuple(_times(factor.tree, entry) for entry in row) for row in whole.rows))
    if cases := CASES.fullmatch(text):
        rows = [[*row.split("&", 1), ""] for row in cases[1].split("\\\\") if row.strip()]
        return Cases(
            tuple((_read(row[0].strip(" ,"), depth + 1), _read(IF.sub("", row[1]), depth + 1)) for row in rows)
        )
    if "≡" in text:
        return Leaf(text.replace(" ", ""), None)  # a congruence: its modulus belongs to both sides
    text = _ungrouped(text)
    if text.count("±") == 1:
        return Several(tuple(_read(text.replace("±", sign), depth + 1) for sign in ("+", "-")))
    parts, joints = _split(OR, text)
    if len(parts) > 1:
        return Several(tuple(_read(part, depth + 1) for part in parts), "and" if set(joints) == {"and"} else "or")
    parts, _ = _split(UNION, text)
    if len(parts) > 1:
        return Union(tuple(_read(part, depth + 1) for part in parts))
    sides, signs = _split(RELATION, text)
    if len(sides) > 1 and all(sides):
        return Relation(tuple(_read(side, depth + 1) for side in sides), tuple(signs))
    return _group(text, depth) or _leaf(text)


def _times(factor: Tree, entry: Mathematics) -> Mathematics:
    tree = entry.tree if isinstance(entry, Leaf) else None
    return Leaf("*", ("mul", factor, tree) if tree else None)


def _group(text: str, depth: int) -> Mathematics | None:
    """Brackets around the whole text; round ones around a single value are only round it."""
    if point := POINT.fullmatch(text):
        place = _group(point[2], depth)
        return Point(point[1], place) if isinstance(place, Bracketed) else None
    if not text or text[0] not in OPENING or text[-1] not in CLOSING or _closed_at(text) != len(text) - 1:
        return None
    inside = text[1:-1]
    items, _ = _split(re.compile(r"\s*[,;]\s*"), inside)
    if len(items) > 1 or text[0] == SET_OPEN:
        inside_items = tuple(_read(item, depth + 1) for item in items if item.strip())
        lists = [item.items for item in inside_items if isinstance(item, Bracketed) and item.opening == "["]
        if text[0] == "[" and len(lists) == len(inside_items) and len({len(row) for row in lists}) == 1:
            return Matrix(tuple(lists))
        return Bracketed(text[0], text[-1], inside_items)
    return _read(inside, depth + 1) if text[0] in "({" and text[-1] in ")}" else None


def _closed_at(text: str) -> int:
    """Where the bracket that opens the text is closed; any bracket closes any, as intervals have it."""
    depth = 0
    for index, character in enumerate(text):
        depth += (character in OPENING) - (character in CLOSING)
        if not depth:
            return index
    return -1


def _split(pattern: re.Pattern[str], text: str) -> tuple[list[str], list[str]]:
    """The parts between the pattern's matches outside all brackets, and the matches."""
    depth, depths = 0, []
    for character in text:
        depth -= character in CLOSING
        depths.append(depth)
        depth += character in OPENING
    parts, signs, start = [], [], 0
    for match in pattern.finditer(text):
        if not depths[match.start()] and not depths[match.end() - 1] and match.end() > match.start():
            parts.append(text[start : match.start()])
            signs.append(match[0].strip())
            start = match.end()
    parts.append(text[start:])
    return parts, signs


def _ungrouped(text: str) -> str:
    """Without the commas between thousands outside all brackets."""

    def bare(match: re.Match[str]) -> str:
        before = text[: match.start()]
        inside = sum(map(before.count, OPENING)) > sum(map(before.count, CLOSING))
        return match[0] if inside else match[0].replace(",", "")

    return GROUPED.sub(bare, text)


def _leaf(text: str) -> Leaf:
    """A whole expression, or one with a unit: two letters that are a unit behind a number are no product."""
    expression, unit = unit_at_end(text)
    known = unit_of(unit) is not None and (sum(map(str.isalpha, unit)) > 1 or unit[:2] == "m^" or "Ω" in unit)
    for left, measured in ((expression, unit), (text, "")) if known else ((text, ""), (expression, unit)):
        try:
            tree = parse(left)
        except NotAFormula:
            continue
        bare = _without_degree(tree)
        return Leaf(left.replace(" ", ""), bare, "°" if bare != tree else measured)
    return Leaf(text.replace(" ", ""), None)


def _without_degree(tree: Tree) -> Tree:
    """The number before a degree sign: the sign is the unit of the whole, unless it stands within a function."""
    if tree[0] == "deg":
        return tree[1]
    if tree[0] in ("neg", "mul"):
        return (*tree[:-1], _without_degree(tree[-1]))
    return tree


STRONG = re.compile(
    r"\\(?!text|%|\$|&)[a-zA-Z]+|[\^√∞∪∩∈∅≤≥≠∥⊥⇒↔⌊⌋]|[=<>]|(?<![A-Za-z])[|][^|]+[|]|^[(\[{][^A-Za-z]*[,;].*[)\]}]$|^[-−±][\w(|]|°\s*\d|\w[!′'](?!\w)|\||\b(?:sin|cos|tan|log|ln|sqrt|exp)\s*\("
)
"""Signs that only mathematics has."""
NAMES = frozenset((*FUNCTIONS, *map(str.lower, GREEK), "infinity", "degrees"))


def is_mathematics(text: str) -> bool:
    """Whether a ground truth is mathematics and not words."""
    if not re.search(r"[\w∞∅]", text):
        return False  # a lone sign: "<", "*"
    bare = re.sub(r"\\[a-zA-Z]+(?:\{[^{}]*\})?", " ", text)
    prose = any(word.lower() not in NAMES and not unit_of(word) for word in re.findall(r"[^\W\d_]{4,}", bare))
    whole = _is_whole(read(text))
    if STRONG.search(text) and not prose:
        return whole or re.search(r"\\[a-zA-Z]|[\^=]|^\W?\w\W|[|]", text) is not None
    joined = re.search(r"[-+*/(,π]|\d[a-z]\b| (?:or|and) |\bpi\b|\dpi\b", text)
    return whole and not prose and joined is not None and re.search(r"\d", text) is not None


def is_readable(text: str) -> bool:
    """Whether a text is mathematics that was read to its end."""
    return _is_whole(read(text))


def _is_whole(part: Mathematics) -> bool:
    """Whether all of it could be read, units known."""
    if isinstance(part, Leaf):
        return part.tree is not None and (not part.unit or unit_of(part.unit) is not None)
    if isinstance(part, Matrix | Cases):
        return all(_is_whole(entry) for row in part.rows for entry in row)
    if isinstance(part, Point):
        return _is_whole(part.place)
    return all(map(_is_whole, part.sides if isinstance(part, Relation) else part.items))
