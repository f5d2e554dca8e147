"""Recursive descent over the signs of a formula, to its last one or not at all."""

from fractions import Fraction

from mixpo.verdicts.mathematics.cursor import BRACKETS, Cursor
from mixpo.verdicts.mathematics.notation import FUNCTIONS, GREEK, GREEK_LETTERS
from mixpo.verdicts.mathematics.tree import DEPTH, NotAFormula, Token, Tree, number
from mixpo.verdicts.unicode import VULGAR

ACCENTS = frozenset(
    f"\\{name}" for name in "vec overline bar hat dot widehat overrightarrow tilde underline ddot".split()
)
NAMED = frozenset(("\\angle", "\\triangle", "\\odot", "\\nabla", "\\partial", "\\ell", "\\hbar", "∠", "△"))
COMMAND_BRACKETS = {"\\lfloor": ("\\rfloor", "floor"), "\\lceil": ("\\rceil", "ceil")}

CALLED = frozenset("fghFGHP")
"""Letters that name a function where a bracket follows: f(5) is not f times 5."""

PROSE = frozenset(
    "the and for are was not but its has had is of or to in it at as by no so we if an on be he me my do "
    "go up us".split()
)
"""Words too short to tell from products of letters by their length."""


class Parser(Cursor):
    """Every method takes what it reads off the signs and raises NotAFormula where it cannot go on."""

    def sum(self, depth: int) -> Tree:
        if depth > DEPTH:
            raise NotAFormula("nested too deeply")
        tree = self.product(depth)
        while self.text in ("+", "-"):
            sign = self.take()
            term = self.product(depth)
            tree = ("add", tree, term if sign == "+" else ("neg", term))
        return tree

    def product(self, depth: int) -> Tree:
        tree = self.signed(depth)
        divided = False
        while True:
            token = self.token
            if token.text == "*":
                self.take()
                tree, divided = ("mul", tree, self.signed(depth)), False
            elif token.text == "/":
                self.take()
                tree, divided = ("div", tree, self.signed(depth)), True
            elif token.text == "mod":
                self.take()
                tree, divided = ("fn", "mod", tree, self.signed(depth)), False
            elif self.begins_factor() or (token.kind == "number" and self.tokens[self.position - 1].text == "!"):
                if divided and not token.spaced:
                    raise NotAFormula("a/bc can mean two things")
                tree = ("mul", tree, self.power(depth))
            else:
                return tree

    def begins_factor(self) -> bool:
        """Whether what follows is multiplied without a sign: 2x, 2(x+1), 2π, but not 2 3."""
        kind, text, _ = self.token
        if kind == "command":
            return text not in ("\\rfloor", "\\rceil", "\\le", "\\cdot")
        if text == "mod":
            return False
        return kind == "letters" or text in ("(", "{", "π", "√", "∞", "∠", "△") or (text == "|" and not self.bars)

    def signed(self, depth: int) -> Tree:
        negative = False
        while self.text in ("+", "-"):
            negative ^= self.take() == "-"
        tree = self.power(depth)
        return ("neg", tree) if negative else tree

    def power(self, depth: int) -> Tree:
        if depth > DEPTH:
            raise NotAFormula("nested too deeply")
        tree = self.postfix(self.primary(depth + 1))
        if self.text == "^":
            self.take()
            exponent = self.exponent(depth + 1)
            tree = self.postfix(("pow", tree, exponent))
        return tree

    def exponent(self, depth: int) -> Tree:
        if self.text == "-":
            self.take()
            return ("neg", self.exponent(depth + 1))
        if self.text in ("*", "'", "+"):  # a conjugate, a prime: names, not powers
            return ("sym", self.take())
        return self.power(depth)

    def postfix(self, tree: Tree) -> Tree:
        while True:
            text = self.text
            if text == "!":
                tree = ("fn", "factorial", tree)
            elif text == "°":
                tree = ("deg", tree)
            elif text == "%":
                tree = ("percent", tree)
            elif text == "'":
                tree = ("call", "prime", tree)
            elif text == "_" and tree[0] in ("sym", "const"):
                self.take()
                tree = self.indexed(tree)
                continue
            else:
                return tree
            self.take()

    def indexed(self, tree: Tree) -> Tree:
        """A symbol with its index; `C_5^3` is the number of combinations."""
        index = self.name()
        if tree[1] == "C" and index.isdigit() and self.text == "^":
            self.take()
            return ("fn", "binomial", number(int(index)), self.argument(0))
        return ("sym", f"{tree[1]}_{index}")

    def primary(self, depth: int) -> Tree:
        kind, text, _ = self.token
        if kind == "number":
            return self.mixed(self.number(), depth)
        if kind == "vulgar":
            self.take()
            return number(VULGAR[text])
        if kind == "letters":
            self.take()
            return self.letters(text, depth)
        if kind == "command" or text in NAMED:
            return self.command(self.take(), depth)
        if text in ("π", "∞"):
            self.take()
            return ("const", text)
        if text == "√":
            self.take()
            return ("fn", "sqrt", self.argument(depth))
        if text == "|" and not self.bars:
            self.take()
            self.bars += 1
            inside = self.sum(depth + 1)
            self.bars -= 1
            self.take("|")
            return ("fn", "abs", inside)
        if text in BRACKETS:
            self.take()
            bars, self.bars = self.bars, 0
            inside = self.sum(depth + 1)
            self.bars = bars
            self.take(BRACKETS[text])
            return inside
        raise NotAFormula(f"not read from {text!r} on")

    def mixed(self, whole: Tree, depth: int) -> Tree:
        """`2½`, `2\\frac{1}{2}`, `2 1/2` and `2 (1/2)` are sums: a whole number and a proper fraction of numbers."""
        if whole[2] != 1 or self.token.kind not in ("vulgar", "command", "number", "sign"):
            return whole
        start, spaced = self.position, self.token.spaced
        try:
            part = self.fraction(spaced, depth)
        except NotAFormula:
            part = None
        if part is not None and 0 < part < 1:
            return number(Fraction(whole[1]) + part)
        self.position = start
        return whole

    def fraction(self, spaced: bool, depth: int) -> Fraction | None:
        if self.token.kind == "vulgar":
            return VULGAR[self.take()]
        bracket = self.text == "(" and spaced
        if bracket:
            self.take()
        if self.text == "\\frac":
            self.take()
            top, bottom = self.argument(depth), self.argument(depth)
        elif self.token.kind == "number" and (spaced or bracket):
            top = self.number()
            self.take("/")
            bottom = self.number() if self.token.kind == "number" else ("sym", "?")
        else:
            return None
        if bracket:
            self.take(")")
        whole = all(part[0] == "num" and part[2] == 1 for part in (top, bottom))
        # "2 1/2x": the fraction may go on
        ended = not self.begins_factor() or self.token.spaced or self.token.kind == "command"
        return Fraction(top[1], bottom[1]) if whole and bottom[1] and ended else None

    def letters(self, text: str, depth: int) -> Tree:
        if text in GREEK_LETTERS:
            return ("sym", GREEK_LETTERS[text])
        if len(text) == 1:
            tree = ("const", text) if text in "ei" else ("sym", text)
            primed = self.text == "'" and text in CALLED
            if primed:
                self.take()
            if self.text == "(" and not self.token.spaced and (text in CALLED or self.lists()):
                return self.called(f"{text}'" if primed else text, depth)
            return ("call", "prime", tree) if primed else tree
        if text.isupper() and len(text) <= 5:
            return ("sym", text)  # a segment, an angle, a triangle
        if text.islower() and len(text) <= 3 and text not in PROSE:
            product: Tree = self.letters(text[0], depth)
            for letter in text[1:-1]:
                product = ("mul", product, self.letters(letter, depth))
            last: Tree = ("const", text[-1]) if text[-1] in "ei" else ("sym", text[-1])
            last = self.postfix(last)
            if self.text == "^":  # the power belongs to the last letter
                self.take()
                last = ("pow", last, self.exponent(depth + 1))
            return ("mul", product, last)
        raise NotAFormula(f"{text!r} is a word")

    def called(self, name: str, depth: int) -> Tree:
        return ("call", name, *self.arguments(depth))

    def command(self, text: str, depth: int) -> Tree:
        name = text[1:]
        if text == "\\frac":
            return ("div", self.argument(depth), self.argument(depth))
        if text == "\\binom":
            return ("fn", "binomial", self.argument(depth), self.argument(depth))
        if text in COMMAND_BRACKETS:
            closing, function = COMMAND_BRACKETS[text]
            inside = self.sum(depth + 1)
            self.take(closing)
            return ("fn", function, inside)
        if text == "\\sqrt" and self.text == "[":
            self.take()
            root = self.sum(depth + 1)
            self.take("]")
            return ("pow", self.argument(depth), ("div", number(1), root))
        if text == "\\sqrt":
            return ("fn", "sqrt", self.argument(depth))
        if name in FUNCTIONS:
            return self.function(name, depth)
        if text in ACCENTS:
            points = self.name()
            return ("sym", f"{name}:{min(points, points[::-1]) if name == 'overline' else points}")
        if text in NAMED:
            follows = self.token.kind == "letters" and not self.token.text.islower()
            points = self.name() if follows or self.text == "{" else ""
            return ("sym", f"{name or text}:{min(points, points[::-1])}")  # ABC and CBA are one angle
        if name in GREEK:
            return ("sym", name)
        raise NotAFormula(f"{text} is not known")

    def function(self, name: str, depth: int) -> Tree:
        """`\\sin^2 x`, `\\sin(x)^2` (the square of the sine), `\\sin 2x` (of the product), `\\log_2 8`."""
        base, exponent = None, None
        while self.text in ("_", "^"):
            if self.take() == "_":
                base = self.argument(depth)
            else:
                exponent = self.exponent(depth + 1)
        if exponent == ("neg", number(1)) and name in ("sin", "cos", "tan"):
            name, exponent = f"arc{name}", None
        if exponent == ("neg", number(1)) or (base and name != "log"):
            raise NotAFormula("an inverse function")
        if self.text in ("(", "{", "|"):
            inside = self.arguments(depth)
        else:
            tree = self.power(depth + 1)
            while self.begins_factor() and not (self.token.kind == "command" and self.text[1:] in FUNCTIONS[:13]):
                tree = ("mul", tree, self.power(depth + 1))
            inside = (tree,)
        tree = ("fn", "log_base", base, *inside) if base else ("fn", name, *inside)
        return ("pow", tree, exponent) if exponent else tree

    def arguments(self, depth: int) -> tuple[Tree, ...]:
        if self.text == "|":
            return (self.primary(depth + 1),)
        closing = BRACKETS[self.take()]
        inside = [self.sum(depth + 1)]
        while self.text == ",":
            self.take()
            inside.append(self.sum(depth + 1))
        self.take(closing)
        return tuple(inside)

    def argument(self, depth: int) -> Tree:
        """The argument of a LaTeX command: a group, or a single sign (`\\frac12` is 1/2)."""
        token = self.token
        if token.kind == "number":
            before = self.tokens[self.position - 1].text
            fraction = before == "\\frac" or self.tokens[max(0, self.position - 2)].text == "\\frac"
            if fraction and token.text.isdigit() and len(token.text) > 1:
                self.tokens[self.position : self.position + 1] = [
                    Token("number", digits, False) for digits in (token.text[0], token.text[1:])
                ]
            return self.number()
        return self.primary(depth + 1)
