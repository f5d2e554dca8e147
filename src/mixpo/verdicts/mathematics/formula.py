"""A formula as a tree, read to its last character or not at all.

Recursive descent over the signs of `notation`, with limits on length and depth, so that no text can make it slow. No
name is looked up and nothing is executed. What the grammar does not know (integrals, set builders, prose) raises
`NotAFormula`: a part of a formula is never taken for the whole.

A tree is a nested tuple, so that it can be compared, cached and sent to another process as JSON:
`("num", p, q)`, `("sym", name)`, `("const", "e" | "i" | "π" | "∞")`, `("add" | "mul", a, b)`, `("div" | "pow", a, b)`,
`("neg", a)`, `("fn", name, a, …)`, `("call", name, a, …)`, `("deg", a)`, `("percent", a)`.
"""

import re
from fractions import Fraction
from functools import lru_cache

from mixpo.verdicts.mathematics.notation import GREEK_LETTERS, normal
from mixpo.verdicts.mathematics.parser import Parser
from mixpo.verdicts.mathematics.tree import LENGTH, NotAFormula, Token, Tree
from mixpo.verdicts.unicode import VULGAR

TOKEN = re.compile(
    rf"(?P<space>\s*)(?:(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{{1,4}}(?![\w.]))?)"
    rf"|(?P<vulgar>[{''.join(VULGAR)}])"
    rf"|(?P<command>\\[A-Za-z]+)|(?P<letters>[A-Za-z]+|[{''.join(GREEK_LETTERS)}])"
    r"|(?P<sign>[-+*/^_(){}\[\]|!'°%,π∞√∠△…]))"
)
REPEATING = re.compile(r"(?<!\d)(\d*)\.(\d*)(?:\\(?:overline|dot|bar) ?\{(\d+)\}|\((\d+)\))")
MINUTES = re.compile(r"(?<!\d)(\d+)° ?(\d+(?:\.\d+)?)'(?: ?(\d+(?:\.\d+)?)(?:''|\"))?")


@lru_cache(maxsize=65536)
def parse(text: str) -> Tree:
    """The tree of a whole formula, given as written or in the notation of `normal`. Raises NotAFormula."""
    text = MINUTES.sub(_degrees, normal(text))
    if len(text) > LENGTH:
        raise NotAFormula("too long")
    parser = Parser(_tokens(REPEATING.sub(_repeating, text)))
    tree = parser.sum(0)
    if parser.position != len(parser.tokens):
        raise NotAFormula(f"not read from {parser.text!r} on")
    return tree


def _degrees(match: re.Match[str]) -> str:
    """45°30' as (45 + 30/60)°."""
    return f"({match[1]} + {match[2]}/60 + {match[3] or 0}/3600)°"


def _repeating(match: re.Match[str]) -> str:
    """`0.1\\overline{6}` as (15/90): the repeating digits r after f fixed ones are r / (10^f (10^len(r) - 1))."""
    whole, fixed, repeated = match[1] or "0", match[2], match[3] or match[4]
    value = Fraction(int(whole + fixed), 10 ** len(fixed)) + Fraction(
        int(repeated), 10 ** len(fixed) * (10 ** len(repeated) - 1)
    )
    return f"({value.numerator}/{value.denominator})"


def _tokens(text: str) -> list[Token]:
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            if text[position:].isspace():
                break
            raise NotAFormula(f"not read from {text[position : position + 10]!r} on")
        kind = match.lastgroup or ""
        tokens.append(Token(kind, match[kind], bool(match["space"])))
        position = match.end()
    if not tokens:
        raise NotAFormula("empty")
    return tokens
