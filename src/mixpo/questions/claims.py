"""Sentences of a chain of thought, however they are written: without markup, and their arithmetic checked."""

import ast
import operator
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

NUMBER = r"-?(?<![\d:.,])\d{1,9}(?:\.\d{1,4})?(?![\d:%]|[.,]\d)"
WORD = r"(?: ?°|(?: (?!(?:and|or|is|so|but|plus|minus|times)\b)[a-z]+))?"
"""What a number in a sum counts."""
TERM = rf"\({{0,2}}{NUMBER}{WORD}\){{0,2}}"
SIDE = rf"{TERM}(?: [+*/-] {TERM}){{0,12}}"
SUM = re.compile(rf"(?=[^=]{{0,200}}=){SIDE}(?: = {SIDE}){{1,6}}")
ORDER = re.compile(rf"({SIDE}) ([<>]=?) (?=({SIDE}))")
EQUAL = re.compile(rf"({NUMBER}) = ({NUMBER})")
OPERATOR = re.compile(r" [+*/-] ")
ORDERS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

RETHOUGHT = re.compile(r"\b(?:wait|actually|oops|sorry|correction|mistake|mistaken|wrong|incorrect)\b", re.IGNORECASE)
"""Who takes something back: which of the claims still holds, nobody can say."""
SUPPOSED = re.compile(
    r"\b(?:if|suppose|supposing|assum(?:e|ing)|imagine|say|would|were|might|maybe|perhaps|could|unless|not|never|instead"
    r"|\w+n't|no -?\d+)\b"
)
"""Sentences with such words claim nothing of the picture."""
LEAD = re.compile(
    r"^(?:(?:so|thus|then|hence|therefore|and|but|while|since|now|first|second|third|next|finally|also),? "
    r"|(?:identify|read|find|locate|note|notice|see|observe)(?: that)? "
    r"|step \d+[:.)]? |#+ |> |\(?\d+[.)] |\(?[a-z]\) |[-*•] )+"
)
"""What may stand before a claim: it says nothing of its own."""
EMPHASIS = re.compile(r"\*\*|__|[`$]|(?<![\w*)] )(?<![\w*)])\*(?=[^\W\d][^*]*\*)|(?<=\w)\*(?!\s*[\d(])")
TYPED = str.maketrans(
    {'"': "", "“": "", "”": "", "−": "-", "–": "-", "×": "*", "·": "*", "÷": "/", "’": "'", "≥": ">=", "≤": "<="}
)
LATEX = (
    (re.compile(r"\\(?:times|cdot) ?"), "*"),
    (re.compile(r"\\div ?"), "/"),
    (re.compile(r"\\(?:text|mathrm|mathbf) ?\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\^ ?\{?\\circ\}?"), "°"),
    (re.compile(r"\\[()\[\]]"), ""),
)
SPOKEN = (
    (re.compile(r"(?<=[\d)]) ?x ?(?=\(?\d)| times (?=\d)"), " * "),
    (re.compile(r"(?<=\d) plus (?=\d)"), " + "),
    (re.compile(r"(?<=\d) minus (?=\d)"), " - "),
    (re.compile(r"(?<=\d) divided by (?=\d)"), " / "),
    (re.compile(r"( [-+*/] \d{1,9}) (?:is|equals|makes|gives) (?=\d)"), r"\1 = "),
)
ROW = re.compile(r"^\| ?([^|]{1,60}?) ?\| ?(-?\d+) ?\|?$")
"""Of a table: "| Ann | 9 |"."""
ENDS = re.compile(r"(?<=\S)(?<!^\d)(?<!^\d\d)[.;!?] +")


@dataclass(frozen=True, slots=True)
class Read:
    """What a chain of thought claims."""

    steps: list[bool]
    """Whether each claim is true, in order."""
    doubtful: bool
    """It says more than could be read, or rests on numbers that came from nowhere."""


def sentences(text: str) -> list[str]:
    """In lower case, without markup and without what leads up to a claim; none of a text that takes something back."""
    if RETHOUGHT.search(text):
        return []
    found = (plain(sentence) for line in text.splitlines() for sentence in ENDS.split(_unmarked(line)))
    return [sentence for sentence in found if sentence]


def plain(sentence: str) -> str:
    """Lower case, without full stop and what leads up to a claim; blanks around signs of arithmetic."""
    sentence = re.sub(r"(?<=[\d)°]) ?([+*/=-]|[<>]=?) ?(?=-?\(?\d)", r" \1 ", sentence.lower())
    for spoken, sign in SPOKEN:
        sentence = spoken.sub(sign, sentence)
    return LEAD.sub("", ROW.sub(r"\1: \2", sentence).rstrip(".,;!? "), count=1)


def _unmarked(line: str) -> str:
    for command, meaning in LATEX if "\\" in line else ():
        line = command.sub(meaning, line)
    return " ".join(EMPHASIS.sub("", line.translate(TYPED)).split())


class Sums:
    """Checks sums, and what is larger; what a sum of known numbers finds is known from there on."""

    def __init__(self, known: Iterable[Fraction]):
        self.known = set(known)
        self.unfounded = False
        """A right sum of other numbers was met: it vouches for nothing, what was read wrongly may stand in it."""

    def check(self, sentence: str) -> Iterator[bool]:
        """Whether each is right, in order."""
        if match := EQUAL.fullmatch(sentence):
            sides = [Fraction(match[1]), Fraction(match[2])]
            yield self._holds(sides[0] == sides[1], sides)
            return
        for match in SUM.finditer(sentence):
            yield from self._equations(match[0].split(" = "))
        for match in ORDER.finditer(sentence):
            try:
                one, other = (_values(_bare(side))[-1] for side in (match[1], match[3]))
            except (SyntaxError, ValueError, ZeroDivisionError):
                self.unfounded = True
                continue
            yield self._holds(ORDERS[match[2]](one, other), numbers_in(f"{match[1]} {match[3]}"))

    def _equations(self, sides: list[str]) -> Iterator[bool]:
        """Each side against the next: `9 + 7 = 16`, or on from it, as in `9 + 7 = 16 + 3 = 19`."""
        sums = [_bare(side) for side in sides]
        for left, right in zip(sums, sums[1:], strict=False):
            if not OPERATOR.search(left) and not OPERATOR.search(right):
                continue  # "60 = 1 hour"
            try:
                parts, said = _values(left), _values(right)[-1]
            except (SyntaxError, ValueError):
                self.unfounded = True
                return
            except ZeroDivisionError:
                yield False
                continue
            if self.known.issuperset(numbers_in(left)):
                self.known.update(map(abs, parts))  # 2 * (5 + 3) = 2 * 8
            found, used = parts[-1], numbers_in(left)
            if OPERATOR.search(right):  # else it is what the sum finds
                used += numbers_in(right)
            held = found in (said, _first(right)) or _rounded(found, right, said)
            yield self._holds(held, used)
            if held and self.known.issuperset(used):
                self.known |= {abs(found), abs(said)}

    def _holds(self, right: bool, numbers: Iterable[Fraction]) -> bool:
        self.unfounded |= right and not self.known.issuperset(numbers)
        return right


def numbers_in(text: str) -> list[Fraction]:
    """Those of a text, without their signs; a time's hours and minutes are two."""
    return [Fraction(number) for number in re.findall(r"\d{1,9}(?:\.\d{1,4})?", text)]


def _bare(side: str) -> str:
    """Without what is counted, and without brackets that it does not open and close."""
    side = " ".join(re.sub(r"[^\d.+*/() -]", "", side).split())
    return side if side.count("(") == side.count(")") else side.strip("()")


def _first(terms: str) -> Fraction | None:
    """The number that a sum begins with; None: it is no sum."""
    match = re.match(r"\(*(-?[\d.]+)", terms) if OPERATOR.search(terms) else None
    return None if match is None else Fraction(match[1])


def _rounded(found: Fraction, right: str, said: Fraction) -> bool:
    _, point, digits = right.partition(".")
    return point != "" and not OPERATOR.search(right) and 2 * abs(found - said) * 10 ** len(digits) <= 1


def _values(terms: str) -> list[Fraction]:
    """Of each part of a sum, and at last of the whole. Raises SyntaxError, ValueError and ZeroDivisionError."""
    parts: list[Fraction] = []
    _worked_out(ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", terms), mode="eval").body, parts)
    return parts


def _worked_out(node: ast.expr, parts: list[Fraction]) -> Fraction:
    match node:
        case ast.BinOp(left, sign, right) if type(sign) in OPERATIONS:
            found = OPERATIONS[type(sign)](_worked_out(left, parts), _worked_out(right, parts))
        case ast.UnaryOp(ast.USub(), operand):
            found = -_worked_out(operand, parts)
        case ast.Constant(int() | float() as number):
            found = Fraction(str(number))
        case _:
            raise ValueError("no sum")
    parts.append(found)
    return found
