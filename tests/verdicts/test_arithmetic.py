"""Values of expressions: each can be redone by hand."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpo.verdicts.arithmetic import NoValue, TooLarge, evaluate
from mixpo.verdicts.formulas import same_formula


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2+3*4", 14),
        ("(2+3)*4", 20),
        ("-2^2", -4),
        ("2^{10}", 1024),
        ("2^3^2", 512),
        ("2³", 8),
        ("10^{-3}", Fraction(1, 1000)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"\frac34", Fraction(3, 4)),
        (r"2\frac{1}{2}", Fraction(5, 2)),
        ("2 1/2", Fraction(5, 2)),
        ("2½", Fraction(5, 2)),
        ("1.5e-3", Fraction(3, 2000)),
        (r"3 \times 10^{8}", 300_000_000),
        (r"\sqrt{144}", 12),
        (r"\sqrt[3]{8}", 2),
        ("√(9/4)", Fraction(3, 2)),
        ("{{{5}}}", 5),
        ("8 ÷ 2", 4),
    ],
)
def test_exact(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("4π", 4 * math.pi), (r"2\sqrt{2}", 2 * math.sqrt(2)), ("π^2", math.pi**2)]
)
def test_irrational(text, value):
    assert evaluate(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("text", ["", "x", "2+", "(2", "1/0", "2 3", "()", "import os"])
def test_no_value(text):
    with pytest.raises(NoValue):
        evaluate(text)


@pytest.mark.parametrize("text", ["9^9^9^9", "10^(10^10)", "2^100000", "1e500", "(" * 100 + "1" + ")" * 100])
def test_too_large(text):
    with pytest.raises(TooLarge):
        evaluate(text)


@given(st.fractions(max_denominator=99), st.fractions(max_denominator=99))
def test_sum_and_product_of_fractions(left, right):
    written = [f"(\\frac{{{value.numerator}}}{{{value.denominator}}})" for value in (left, right)]
    assert evaluate("+".join(written)) == left + right
    assert evaluate("*".join(written)) == left * right


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("(x+1)^2", "x^2+2x+1", True),
        ("(x+1)^2", "x^2+2x+2", False),
        ("xy", "yx", True),
        ("ab", "a+b", False),
        ("y=2x+3", "2x-y+3=0", True),
        ("y=2x+3", "y=2x-3", False),
        ("x=5", "5", True),
        ("x=5", "-5", False),
        (r"\frac{1}{x}", "x^{-1}", True),
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        (r"3\pi", "9.42", False),
        ("(1,2)", "(2,1)", False),
        ("(1,1/2)", "(1,0.5)", True),
        (r"\sin^2 x+\cos^2 x", "1", True),
        (r"\sin 2x", r"2\sin x\cos x", True),
        (r"\{1,2\}", r"\{2,1\}", None),
    ],
)
def test_formulas(gold, answer, same):
    assert same_formula(gold, answer) is same
