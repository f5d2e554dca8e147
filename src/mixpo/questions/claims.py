"""Sentences of a chain of thought, however they are written: without markup, and their arithmetic checked."""

import ast
import operator
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

Held = bool | None
"""Whether a step is right. None: it is, but rests on numbers that came from nowhere."""
NUMBER = r"-?(?<![\d:.,])\d{1,9}(?:\.\d{1,4})?(?![\d:%]|[.,]\d)"
WORD = r"(?: ?°|(?: (?!(?:and|or|is|so|but|plus|minus|times)\b)[a-z]+))?"
"""What a number in a sum counts."""
TERM = rf"\({{0,2}}{NUMBER}{WORD}\){{0,2}}"
SIDE = rf"{TERM}(?: [+*/-] {TERM}){{0,12}}"
SUM = re.compile(rf"(?=[^=]{{0,200}}=){SIDE}(?: = {SIDE}){{1,6}}")
ORDER = re.compile(rf"({NUMBER}){WORD} ([<>]=?) ({NUMBER})")
EQUAL = re.compile(rf"({NUMBER}) = ({NUMBER})")
SIGN = re.compile(r" [+*/-] ")
ORDERS = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

RETHOUGHT = re.compile(r"\b(?:wait|actually|oops|sorry|correction|mistake|mistaken|wrong|incorrect)\b", re.IGNORECASE)
"""Who takes something back: which of the claims still holds, nobody can say."""
SUPPOSED = re.compile(
    r"\b(?:if|suppose|supposing|assum(?:e|ing)|imagine|say|would|were|might|maybe|perhaps|could|unless|not|never|instead"
    r"|\w+n't|no -?\d+)\b"
)
"""Sentences with such words claim nothing."""
LEAD = re.compile(
    r"^(?:(?:so|thus|then|hence|therefore|and|but|while|since|now|first|second|third|next|finally|also),? "
    r"|(?:identify|read|find|locate|note|notice|see|observe)(?: that)? "
    r"|step \d+[:.)]? |#+ |> |\(?\d+[.)] |\(?[a-z]\) |[-*•] )+"
)
"""What may stand before a claim: it says nothing of its own."""
EMPHASIS = re.compile(r"\*\*|__|[`$]|(?<![\w*)] )(?<![\w*)])\*(?=[^\W\d][^*]*\*)|(?<=\w)\*(?!\s*[\d(])")
SIGNS = str.maketrans(
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
ENDS = re.compile(r"(?<=\S)(?<!^\d)(?<!^\d\d)[.;!?]+ +")


def sentences(text: str) -> Iterator[str]:
    """Each that may claim something: in lower case, without markup and without what leads up to it."""
    if RETHOUGHT.search(text):
        return
    for line in text.splitlines():
        for sentence in map(plain, ENDS.split(_unmarked(line))):
            if sentence and not SUPPOSED.search(sentence):
                yield sentence


def plain(sentence: str) -> str:
    """Lower case, without markup, full stop and what leads up to a claim; blanks around signs of arithmetic."""
    sentence = re.sub(r"(?<=[\d)°]) ?([+*/=-]|[<>]=?) ?(?=-?\(?\d)", r" \1 ", _unmarked(sentence).lower())
    for spoken, sign in SPOKEN:
        sentence = spoken.sub(sign, sentence)
    return LEAD.sub("", ROW.sub(r"\1: \2", sentence).rstrip(".,;!? "), count=1)


def _unmarked(line: str) -> str:
    for command, meaning in LATEX if "\\" in line else ():
        line = command.sub(meaning, line)
    return " ".join(EMPHASIS.sub("", line.translate(SIGNS)).split())


def arithmetic(sentence: str, known: set[Fraction]) -> Iterator[Held]:
    """Whether each sum, and what is larger, is right; None for those that are, of numbers that are not `known`: they
    would vouch for what was read wrongly. What a sum of known numbers finds is known from there on."""
    if match := EQUAL.fullmatch(sentence):
        yield _with_known(match[1] == match[2], known, (Fraction(match[1]), Fraction(match[2])))
        return
    for match in SUM.finditer(sentence):
        yield from _equations(match[0].split(" = "), known)
    for match in ORDER.finditer(sentence):
        one, other = Fraction(match[1]), Fraction(match[3])
        yield _with_known(ORDERS[match[2]](one, other), known, (one, other))


def _with_known(right: bool, known: set[Fraction], numbers: Sequence[Fraction]) -> Held:
    return None if right and not known.issuperset(numbers) else right


def _equations(sides: list[str], known: set[Fraction]) -> Iterator[Held]:
    """Each side against the next: `9 + 7 = 16`, or on from it, as in `9 + 7 = 16 + 3 = 19`."""
    sums = [" ".join(re.sub(r"[^\d.+*/() -]", "", side).split()) for side in sides]
    for left, right in zip(sums, sums[1:], strict=False):
        if not SIGN.search(left) and not SIGN.search(right):
            continue  # "60 = 1 hour"
        of_left, of_right = numbers_in(left), numbers_in(right)
        try:
            parts, said = _values(left), _values(right)[-1]
        except (SyntaxError, ValueError):
            return
        except ZeroDivisionError:
            yield False
            continue
        found = parts[-1]
        _, point, digits = right.partition(".")
        rounded = not SIGN.search(right) and point != "" and round(found, len(digits)) == said
        goes_on = len(of_right) > 1 and found == of_right[0]
        if known.issuperset(of_left):
            known.update(map(abs, parts))  # 2 * (5 + 3) = 2 * 8
        held = _with_known(found == said or rounded or goes_on, known, of_left + of_right[SIGN.search(right) is None :])
        if held:
            known |= {abs(found), abs(said)}
        yield held


def numbers_in(text: str) -> list[Fraction]:
    """Those of a text, without their signs; a time's hours and minutes are two."""
    return [Fraction(number) for number in re.findall(r"\d{1,9}(?:\.\d{1,4})?", text)]


def _values(terms: str) -> list[Fraction]:
    """Of each part of a sum, and at last of the whole. Raises SyntaxError, ValueError and ZeroDivisionError."""
    parts: list[Fraction] = []
    _worked_out(ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", terms), mode="eval").body, parts)
    return parts


def _worked_out(node: ast.expr, parts: list[Fraction]) -> Fraction:
    match node:
        case ast.BinOp(left, sign, right) if type(sign) in OPERATORS:
            found = OPERATORS[type(sign)](_worked_out(left, parts), _worked_out(right, parts))
        case ast.UnaryOp(ast.USub(), operand):
            found = -_worked_out(operand, parts)
        case ast.Constant(int() | float() as number):
            found = Fraction(str(number))
        case _:
            raise ValueError("no sum")
    parts.append(found)
    return found
