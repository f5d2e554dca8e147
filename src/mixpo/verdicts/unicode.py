"""Characters that stand for a plain one, one for one; what is missing here is folded by its Unicode category."""

from fractions import Fraction

THIN = "\u202f"
"""Narrow space: kept apart from other spaces, since between digits it separates thousands."""

FOLDED = {
    "\u2212": "-",
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\ufe63": "-",
    "\u2009": THIN,
    "\u00a0": THIN,
    "\u202f": THIN,
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u300c": '"',
    "\u300d": '"',
    "。": ".",
    "।": ".",
    "？": "?",
    "、": ",",
    "【": "[",
    "】": "]",
    "〔": "(",
    "〕": ")",
    "：": ":",
    "∶": ":",
    "⁄": "/",
    "∕": "/",
    "∗": "*",
    "⋅": "·",
    "º": "°",
    "˚": "°",
    "≃": "≈",
    "≅": "≈",
    "∼": "≈",
}

VULGAR = {
    "½": Fraction(1, 2), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3), "¼": Fraction(1, 4), "¾": Fraction(3, 4),
    "⅕": Fraction(1, 5), "⅖": Fraction(2, 5), "⅗": Fraction(3, 5), "⅘": Fraction(4, 5), "⅙": Fraction(1, 6),
    "⅚": Fraction(5, 6), "⅛": Fraction(1, 8), "⅜": Fraction(3, 8), "⅝": Fraction(5, 8), "⅞": Fraction(7, 8),
}  # fmt: skip
SUPERSCRIPT = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+"))
