"""The signs of a formula, one after the other, and what is read of them without looking at the grammar."""

from fractions import Fraction

from mixpo.verdicts.mathematics.tree import DIGITS, NotAFormula, Token, Tree, number

BRACKETS = {"(": ")", "[": "]", "{": "}"}


class Cursor:
    """A place among the signs; `bars` counts the open absolute values around it."""

    def __init__(self, tokens: list[Token]):
        self.tokens, self.position, self.bars = tokens, 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position] if self.position < len(self.tokens) else Token("end", "", False)

    @property
    def text(self) -> str:
        return self.token.text

    def take(self, expected: str = "") -> str:
        text = self.text
        if self.position >= len(self.tokens) or (expected and text != expected):
            raise NotAFormula(f"expected {expected!r}, found {text!r}")
        self.position += 1
        return text

    def name(self) -> str:
        """What stands in the braces of an index or an accent, as a name."""
        if self.text != "{":
            return self.take()
        self.take()
        found, depth = [], 1
        while depth:
            text = self.take()
            depth += (text == "{") - (text == "}")
            found.append(text)
        return "".join(found[:-1])

    def number(self) -> Tree:
        text = self.take()
        mantissa, _, exponent = text.lower().partition("e")
        if len(mantissa) > DIGITS or abs(int(exponent or 0)) > DIGITS:
            raise NotAFormula("too many digits")
        return number(Fraction(mantissa) * Fraction(10) ** int(exponent or 0))

    def lists(self) -> bool:
        """Whether the bracket that follows holds a comma at its own depth: P(1, 2)."""
        depth = 0
        for token in self.tokens[self.position :]:
            depth += (token.text in BRACKETS) - (token.text in BRACKETS.values())
            if depth == 1 and token.text == ",":
                return True
            if depth <= 0:
                return False
        return False
