"""Units are read as products of powers, compared by what they measure, and converted exactly."""

from fractions import Fraction

import pytest

from mixpo.verdicts.units import conversion, unit_of


@pytest.mark.parametrize(
    ("answer", "truth", "factor"),
    [
        ("cm", "m", Fraction(1, 100)),
        ("km/h", "m/s", Fraction(1000, 3600)),
        ("km per hour", "km/h", Fraction(1)),
        ("square meters", "m^2", Fraction(1)),
        ("cm²", "m²", Fraction(1, 10_000)),
        ("cubic centimeters", "ml", Fraction(1)),
        ("hours", "minutes", Fraction(60)),
        ("N", "kg m/s^2", Fraction(1)),
        ("kJ", "J", Fraction(1000)),
        ("kΩ", "ohm", Fraction(1000)),
        ("", "cm", Fraction(1)),
        ("apples", "objects", Fraction(1)),
        ("cm", "kg", None),
        ("m", "m^2", None),
        ("seconds", "meters", None),
        ("m/s", "m/s^2", None),
    ],
)
def test_conversion(answer, truth, factor):
    assert conversion(answer, truth) == factor


@pytest.mark.parametrize("word", ["objects", "people", "x", "squared", "more"])
def test_words_are_no_units(word):
    assert unit_of(word) is None


@pytest.mark.parametrize(
    ("text", "truth", "right"),
    [
        ("1.5 m", "150 cm", True),
        ("1 h 40 min", "100 minutes", True),
        ("5 ft 10 in", "70 inches", True),
        ("36 km/h", "10 m/s", True),
        ("3 \\, \\Omega", "3 ohms", True),
        ("5 cents", "$5", False),
        ("5¢", "$5", False),
        ("85¢", "$0.85", True),
        ("5 kg", "5 cm", False),
        ("150 m", "150 cm", False),
        ("12 cm^2", "12 cm", False),
    ],
)
def test_answers(judge_text, text, truth, right):
    assert (judge_text(f"The answer is {text}.", truth).outcome == "correct") is right
