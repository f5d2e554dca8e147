"""Characters that stand for a plain one, one for one; what is missing here is folded by its Unicode category."""

from fractions import Fraction
from unicodedata import numeric

THIN = "\u202f"
"""Narrow space: kept apart from other spaces, since between digits it separates thousands."""

FOLDED = {
    **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-"),
    **dict.fromkeys("\u2009\u00a0\u202f", THIN),
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d\u300c\u300d", '"'),
    **dict.fromkeys("。।", "."),
    **dict.fromkeys("：∶", ":"),
    **dict.fromkeys("⁄∕", "/"),
    **dict.fromkeys("º˚", "°"),
    **dict.fromkeys("≃≅∼", "≈"),
    **dict(zip("？、【】〔〕∗⋅", "?,[]()*·")),
}

VULGAR = {sign: Fraction(numeric(sign)).limit_denominator(9) for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
SUPERSCRIPT = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+"))
