"""The value of an arithmetic expression as models write it (plain or LaTeX), exact while it is rational.

A recursive descent with limits on length, depth and size of powers, so that no text can make it slow: what is beyond
them is left without a value. No names, no calls, nothing is ever executed.
"""

import math
import re
from fractions import Fraction

Value = Fraction | int | float
LENGTH, DEPTH, POWER_BITS = 400, 60, 4096

VULGAR = {
    "½": Fraction(1, 2), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3), "¼": Fraction(1, 4), "¾": Fraction(3, 4),
    "⅕": Fraction(1, 5), "⅖": Fraction(2, 5), "⅗": Fraction(3, 5), "⅘": Fraction(4, 5), "⅙": Fraction(1, 6),
    "⅚": Fraction(5, 6), "⅛": Fraction(1, 8), "⅜": Fraction(3, 8), "⅝": Fraction(5, 8), "⅞": Fraction(7, 8),
}  # fmt: skip
SUPERSCRIPT = {
    "⁰": "0",
    "¹": "1",
    "²": "2",
    "³": "3",
    "⁴": "4",
    "⁵": "5",
    "⁶": "6",
    "⁷": "7",
    "⁸": "8",
    "⁹": "9",
    "⁻": "-",
}
FUNCTIONS = {"sin": math.sin, "cos": math.cos, "tan": math.tan, "ln": math.log, "exp": math.exp}
NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4}(?![\w.]))?"
TOKEN = re.compile(
    rf"\s*(?:(?P<number>{NUMBER})|(?P<vulgar>[{''.join(VULGAR)}])|(?P<super>[{''.join(SUPERSCRIPT)}]+)"
    rf"|(?P<name>\\(?:[dtc]?frac|sqrt|pi|cdot|times|div|{'|'.join(FUNCTIONS)})(?![a-zA-Z])|sqrt(?=\s*\()|\*\*|[-+*/^()\[\]{{}}·×÷√π]))\s*"
)
NOISE = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])|\$|\\[()\[\]]|~")
SIGNS = {
    "\\cdot": "*",
    "\\times": "*",
    "·": "*",
    "×": "*",
    "\\div": "/",
    "÷": "/",
    "**": "^",
    "\\pi": "π",
    "sqrt": "√",
    "[": "(",
    "]": ")",
}
FRACTIONS = ("\\frac", "\\dfrac", "\\tfrac", "\\cfrac")


class NoValue(Exception):
    """The text is no arithmetic expression; the message says why."""


class TooLarge(NoValue):
    """A number in it is beyond the limits."""


def evaluate(expression: str) -> Value:
    """The value of an expression such as `2\\frac{1}{2}`, `4π`, `2^{10}`, `3 × 1/6`. Raises NoValue or TooLarge."""
    expression = _unwrapped(expression)
    if len(expression) > LENGTH:
        raise NoValue("too long")
    tokens = _tokens(NOISE.sub(" ", expression))
    if not tokens:
        raise NoValue("empty")
    try:
        value, position = _Parser(tokens).sum(0, 0)
    except (ZeroDivisionError, OverflowError, ValueError):
        raise NoValue("no number") from None
    if position != len(tokens):
        raise NoValue("not arithmetic")
    if isinstance(value, float) and not math.isfinite(value):
        raise TooLarge("too large")
    return value


def _unwrapped(expression: str) -> str:
    """Without the redundant braces around the whole: `{{{5}}}` is 5, at any depth."""
    inside = expression.strip()
    depth = min(len(inside) - len(inside.lstrip("{")), len(inside) - len(inside.rstrip("}")))
    core = inside[depth : len(inside) - depth]
    return core if depth and "{" not in core else expression


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            if text[position:].isspace():
                break
            raise NoValue("not arithmetic")
        kind = match.lastgroup or ""
        tokens.append((kind, SIGNS.get(match[kind], match[kind])))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; every method takes a position and the depth, and gives a value and the next position."""

    def __init__(self, tokens: list[tuple[str, str]]):
        self.tokens = tokens

    def at(self, position: int) -> str:
        return self.tokens[position][1] if position < len(self.tokens) else ""

    def kind(self, position: int) -> str:
        return self.tokens[position][0] if position < len(self.tokens) else ""

    def sum(self, position: int, depth: int) -> tuple[Value, int]:
        if depth > DEPTH:
            raise TooLarge("nested too deeply")
        value, position = self.product(position, depth)
        while self.at(position) in ("+", "-"):
            sign = self.at(position)
            term, position = self.product(position + 1, depth)
            value = value + term if sign == "+" else value - term
        return value, position

    def product(self, position: int, depth: int) -> tuple[Value, int]:
        value, position = self.signed(position, depth)
        while True:
            sign = self.at(position)
            if sign in ("*", "/"):
                factor, position = self.signed(position + 1, depth)
                value = value * factor if sign == "*" else value / factor
            elif sign in ("(", "{", "π", "√", "\\sqrt", *FRACTIONS) or sign[1:] in FUNCTIONS:
                factor, position = self.power(position, depth)
                value = value * factor
            else:
                return value, position

    def signed(self, position: int, depth: int) -> tuple[Value, int]:
        sign = 1
        while self.at(position) in ("+", "-"):
            sign = -sign if self.at(position) == "-" else sign
            position += 1
        value, position = self.power(position, depth)
        return sign * value, position

    def power(self, position: int, depth: int) -> tuple[Value, int]:
        base, position = self.primary(position, depth)
        if self.kind(position) == "super":
            digits = "".join(SUPERSCRIPT[character] for character in self.at(position))
            return raised(base, Fraction(int(digits))), position + 1
        if self.at(position) == "^":
            if depth > DEPTH:
                raise TooLarge("nested too deeply")
            sign = -1 if self.at(position + 1) == "-" else 1
            exponent, position = self.power(position + 1 + (sign < 0), depth + 1)
            return raised(base, sign * exponent), position
        return base, position

    def primary(self, position: int, depth: int) -> tuple[Value, int]:
        kind, text = self.kind(position), self.at(position)
        if kind == "number":
            whole = number(text)
            return self.mixed(whole, position + 1, depth) if text.isdigit() else (whole, position + 1)
        if kind == "vulgar":
            return VULGAR[text], position + 1
        if text == "π":
            return math.pi, position + 1
        if text in ("(", "{"):
            value, position = self.sum(position + 1, depth + 1)
            if self.at(position) not in (")", "}"):
                raise NoValue("unbalanced")
            return value, position + 1
        if text[1:] in FUNCTIONS:
            return self.function(text[1:], position + 1, depth)
        if text in FRACTIONS:
            top, position = self.argument(position + 1, depth)
            bottom, position = self.argument(position, depth)
            return top / bottom, position
        if text in ("√", "\\sqrt"):
            root: Value = Fraction(2)
            if text == "\\sqrt" and self.kind(position + 2) == "number" and self.at(position + 4) == "{":
                root, position = number(self.at(position + 2)), position + 3  # \\sqrt[3]{8}
            value, position = self.argument(position + 1, depth)
            if value < 0:
                raise NoValue("root of a negative number")
            return raised(value, 1 / root), position
        raise NoValue("not arithmetic")

    def function(self, name: str, position: int, depth: int) -> tuple[Value, int]:
        """`\\sin^2 x`, `\\sin(x)^2` (the square of the sine), `\\sin 2x` (of the product that follows)."""
        exponent: Value = Fraction(1)
        if self.at(position) == "^":
            exponent, position = self.argument(position + 1, depth)
        if exponent < 0:
            raise NoValue("an inverse function or a power")
        value, position = self.primary(position, depth + 1)
        while self.at(position) in ("(", "π", "√", "\\sqrt", *FRACTIONS):
            factor, position = self.power(position, depth + 1)
            value = value * factor
        return raised(FUNCTIONS[name](float(value)), exponent), position

    def mixed(self, whole: Fraction, position: int, depth: int) -> tuple[Value, int]:
        """`2½`, `2\\frac{1}{2}` and `2 1/2` are sums: a whole number and a proper fraction."""
        if self.kind(position) == "vulgar":
            return whole + VULGAR[self.at(position)], position + 1
        if self.at(position) in FRACTIONS:
            fraction, after = self.primary(position, depth)
            if isinstance(fraction, Fraction) and 0 < fraction < 1:
                return whole + fraction, after
        if self.kind(position) == "number" and self.at(position + 1) == "/" and self.kind(position + 2) == "number":
            fraction = number(self.at(position)) / number(self.at(position + 2))
            if 0 < fraction < 1:
                return whole + fraction, position + 3
        return whole, position

    def argument(self, position: int, depth: int) -> tuple[Value, int]:
        """The argument of a LaTeX command or of √: a group, or a single number (`\\frac12` is 1/2)."""
        if self.kind(position) == "number":
            text = self.at(position)
            if self.at(position - 1) in FRACTIONS and text.isdigit() and len(text) == 2:
                self.tokens[position : position + 1] = [("number", text[0]), ("number", text[1])]
            return number(self.at(position)), position + 1
        return self.primary(position, depth + 1)


def number(text: str) -> Fraction:
    """The exact value of digits with a decimal point and an exponent. Raises TooLarge for a huge exponent."""
    if text.isdigit() and len(text) <= LENGTH:
        return Fraction(int(text))
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > LENGTH or abs(int(exponent or 0)) > 400:
        raise TooLarge("too large")
    return Fraction(mantissa) * Fraction(10) ** int(exponent or 0)


def raised(base: Value, exponent: Value) -> Value:
    """base ** exponent within the limits."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) > POWER_BITS:
            raise TooLarge("too large")
        return base ** int(exponent)
    if abs(float(exponent)) > POWER_BITS:
        raise TooLarge("too large")
    result = float(base) ** float(exponent)
    if not isinstance(result, float):
        raise NoValue("no real number")
    if isinstance(base, Fraction) and base.numerator >= 0 and exponent == Fraction(1, 2):
        roots = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if roots[0] ** 2 == base.numerator and roots[1] ** 2 == base.denominator:
            return Fraction(*roots)
    return result
