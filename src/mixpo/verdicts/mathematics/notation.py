"""One notation for mathematics as models write it: LaTeX, plain text and Unicode become the same few signs.

`normal` changes how a formula is written and never what it says: what it does not know it leaves, for the parser to
refuse. Words set as text are kept between « and », so that "cm" never becomes c times m.
"""

import re

from mixpo.verdicts.unicode import SUPERSCRIPT

WORD_OPEN, WORD_CLOSE = "«", "»"
SET_OPEN, SET_CLOSE = "⦃", "⦄"
FUNCTIONS = (
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc"),
    *("log", "lg", "ln", "exp", "sqrt", "cbrt", "gcd", "lcm", "max", "min", "abs", "floor", "ceil"),
)
GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega", "Gamma", "Delta"),
    *("Theta", "Lambda", "Xi", "Sigma", "Phi", "Psi", "Omega"),
)
GREEK_LETTERS = dict(zip("αβγδεζηθικλμνξρστφχψωΓΔΘΛΞΣΦΨΩ", [name for name in GREEK if not name.startswith("var")]))
COMMANDS = {
    name: sign for sign, names in {
        "\\frac": "dfrac tfrac cfrac", "\\binom": "dbinom tbinom", "*": "cdot times ast",
        "≤": "leq le leqslant", "≥": "geq ge geqslant", "≠": "neq ne", "|": "lvert rvert vert mid",
        "≈": "approx simeq thickapprox", "→": "rightarrow to implies Rightarrow longrightarrow",
        "°": "circ degree", "∅": "emptyset varnothing", "…": "ldots dots cdots", "∧": "land wedge",
        "∨": "lor vee", "¬": "lnot neg", "↔": "leftrightarrow iff", "∖": "setminus backslash",
        "mod ": "mod bmod",
    }.items() for name in names.split()
} | dict(
    pair.split("=") for pair in (
        "div=/ pm=± mp=∓ infty=∞ pi=π cup=∪ cap=∩ in=∈ lt=< gt=> leftarrow=← uparrow=↑ downarrow=↓ cong=≅ sim=∼ "
        "langle=( rangle=) parallel=∥ perp=⊥ equiv=≡ prime=' imath=i colon=: lbrack=[ rbrack=] subset=⊂ "
        "subseteq=⊆ lbrace=⦃ rbrace=⦄"
    ).split()
)  # fmt: skip
SPACE = frozenset(
    "left right displaystyle textstyle quad qquad big Big bigl bigr Bigl Bigr bigg Bigg hspace limits nolimits middle "
    "enspace thinspace mathstrut rm bf it".split()
)
CHARACTERS = {
    **dict.fromkeys("×·⋅∗•", "*"),
    **dict.fromkeys("˚º", "°"),
    **dict.fromkeys("–—", "-"),
    **{"÷": "/", "≦": "≤", "≧": "≥", "⩽": "≤", "⩾": "≥", "{": "{", "∣": "|", "⇒": "→", "⟹": "→", "⇔": "↔", "：": ":"},
    **{"−": "-", "′": "'", "’": "'", "∞": "∞", "\u202f": " ", "ℝ": "R", "≃": "≈", "～": "∼"},
}
TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|bb|cal|frak)|mbox|hbox|operatorname\*?"
    r"|boldsymbol|bm)\s*\{([^{}]*)\}"
)
PRIME = re.compile(r"\^\s*\{?\s*\\prime\s*\}?")
OHM = re.compile(r"(\d)(?:\\[,;:! ]|\s)*((?:\\(?:mathrm|text)\s?\{\s?)?[kM]?)\\Omega\b ?")
COMMAND = re.compile(r"\\([A-Za-z]+)\*?|\\([^A-Za-z])")
GROUPED = re.compile(
    r"(?<![\d.,_^])(?:\d{1,3}(?:(?:\{,\}|\\,|\\ |\u202f|')\d{3})+|\d{1,2}(?:\{,\}\d{2})+\{,\}\d{3})(?![\d])"
)
SPACED = re.compile(r"\s*[-+]?\d{1,3}(?: \d{3})+(?:\.\d+)?\s*")
PLAIN_NAMES = re.compile(
    rf"(?<![A-Za-z\\])(?:({'|'.join(FUNCTIONS)})(?=[\s(\d_^{{]|[a-z]\b)|(pi)(?![A-Za-z])|(inf|infinity)\b)"
)
SMALL = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
OPERAND = r"(\d+(?:\.\d+)?|[a-zA-Z]|π|pi)\b"
SPOKEN = re.compile(r"\b(?:root of|squared|cubed|half of|times|plus|minus|divided by|over|to the power of)\b")
SAID = tuple(
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (rf"\b({'|'.join(SMALL)})\b", lambda match: SMALL[match[1].lower()]),
        (rf"(?:the )?square root of {OPERAND}", r"\\sqrt{\1}"),
        (rf"(?:the )?cube root of {OPERAND}", r"\\sqrt[3]{\1}"),
        (rf"(?:a |one )?half of {OPERAND}", r"\1/2"),
        (r"(?<=[\w)}]) squared\b", "^2"),
        (r"(?<=[\w)}]) cubed\b", "^3"),
        (r"(?<=[\w)}]) times (?=[\w\\(])", "*"),
        (r"(?<=[\w)}]) plus (?=[\w\\(])", "+"),
        (r"(?<=[\w)}]) minus (?=[\w\\(])", "-"),
        (r"(?<=[\w)}]) (?:divided by|over) (?=[\w\\(])", "/"),
        (r"(?<=[\w)}]) to the power of (?=[\w\\(])", "^"),
    )
)
SYMBOLS = dict(pair.split(" ") for pair in "<= ≤, >= ≥, != ≠, => →, -> →, ** ^, == =, +- +-, +/- ±, ~= ≈".split(", "))
SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉"
SIGN = re.compile("|".join(re.escape(sign) for sign in sorted(SYMBOLS, key=len, reverse=True)))


def normal(text: str) -> str:
    """The formula in one notation, spaces squeezed; outer mathematics delimiters and an ending full stop are gone."""
    text = PRIME.sub("'", text)
    text = OHM.sub(r"\1 \2Ω", spoken(text).replace("~", " ").replace("\\!", ""))
    text = GROUPED.sub(lambda match: re.sub(r"\D", "", match[0]), text)
    if SPACED.fullmatch(text):
        text = text.replace(" ", "")
    for _ in range(4):  # text inside text
        text, changed = TEXT.subn(_text, text)
        if not changed:
            break
    text = COMMAND.sub(_command, text)
    text = "".join(CHARACTERS.get(character, character) for character in text)
    text = re.sub(rf"[{''.join(SUPERSCRIPT)}]+", lambda m: f"^{{{''.join(SUPERSCRIPT[c] for c in m[0])}}}", text)
    text = re.sub(r"(?<=\d) ?[xX] ?(?=\d)", "*", text)
    text = re.sub(r"\^\s*\{?\s*°\s*\}?", "°", text)
    text = re.sub(r"\*\s*°", "°", text)
    text = SIGN.sub(lambda match: SYMBOLS[match[0]], text).replace("$", " ")
    text = re.sub(r"\b(?:negative|minus) (?=infinity|inf\b|∞)", "-", text)
    text = re.sub(f"[{SUBSCRIPTS}]+", lambda m: f"_{{{''.join(str(SUBSCRIPTS.index(c)) for c in m[0])}}}", text)
    text = PLAIN_NAMES.sub(lambda m: f"\\{m[1]} " if m[1] else "π" if m[2] else "∞", text)
    return " ".join(text.split())


def spoken(text: str) -> str:
    """A formula said in words, in signs: "two times the square root of 5", "half of x", "x squared"."""
    if not SPOKEN.search(text):
        return text
    for pattern, written in SAID:
        text = pattern.sub(written, text)
    return text


def _text(match: re.Match[str]) -> str:
    inside = match[1]
    bare = inside.strip()
    if bare in FUNCTIONS:
        return f"\\{bare} "
    if re.search(r"[+=^_\\]", bare) and not bare.startswith("\\"):
        return f" {bare} "  # a whole formula set upright: a reaction
    if bare.lower() in ("or", "and"):
        return f" {bare.lower()} "
    if len(bare) <= 1 or not re.search(r"[A-Za-z]{2}", bare):
        upright = match[0][1:7] == "mathrm" or match[0][1:5] == "text"
        # An upright letter behind a number is a unit ("3 \mathrm{m}"); e, i and d are mathematics.
        return (
            f" {WORD_OPEN}{bare}{WORD_CLOSE}"
            if upright and re.fullmatch(r"[A-Za-z°]", bare) and bare not in "eid"
            else inside
        )
    return f"{WORD_OPEN}{bare}{WORD_CLOSE}"


def _command(match: re.Match[str]) -> str:
    name, other = match[1], match[2]
    if other:
        return {"{": SET_OPEN, "}": SET_CLOSE, "\\": "\\\\"}.get(other, other if other in "%$|&#_" else " ")
    if name in COMMANDS:
        return COMMANDS[name]
    if name in SPACE:
        return " "
    return f"\\{name} "
