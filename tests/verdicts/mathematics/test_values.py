"""The fast path for numbers equals the library: generated formulas have the value that SymPy gives them."""

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpo.verdicts.mathematics import values
from mixpo.verdicts.mathematics.formula import parse
from mixpo.verdicts.mathematics.symbolic_worker import expression
from mixpo.verdicts.mathematics.tree import NotAFormula
from mixpo.verdicts.mathematics.values import NoValue
from mixpo.verdicts.reading import Undecided

ATOMS = st.one_of(
    st.integers(0, 50).map(str),
    st.decimals(0, 20, places=2).map(str),
    st.sampled_from(["\\pi", "e", "\\frac{3}{7}", "\\sqrt{2}", "\\sqrt{12}", "\\sqrt[3]{5}", "2\\pi", "1.5e3"]),
)


def combined(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inside, st.sampled_from("+-*/"), inside).map(lambda parts: f"({parts[0]}){parts[1]}({parts[2]})"),
        st.tuples(inside, inside).map(lambda parts: f"\\frac{{{parts[0]}}}{{{parts[1]}}}"),
        st.tuples(inside, st.integers(-3, 4)).map(lambda parts: f"({parts[0]})^{{{parts[1]}}}"),
        inside.map(lambda part: f"-({part})"),
        inside.map(lambda part: f"\\sqrt{{{part}}}"),
        inside.map(lambda part: f"|{part}|"),
        inside.map(lambda part: f"\\ln({part})"),
        inside.map(lambda part: f"\\cos({part})"),
    )


FORMULAS = st.recursive(ATOMS, combined, max_leaves=5)


@settings(max_examples=300, deadline=None)
@given(text=FORMULAS)
def test_the_value_is_the_librarys(text):
    try:
        tree = parse(text)
        ours = values.value(tree)
        theirs = expression(tree)
    except (NotAFormula, NoValue, Undecided, TypeError):  # bars in bars; no value; SymPy cannot compare nan
        return
    if theirs.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        return
    if isinstance(ours, Fraction) and theirs.is_Rational:
        assert ours == Fraction(int(theirs.p), int(theirs.q)), text
        return
    difference = abs(
        sympy.N(theirs, 60)
        - sympy.sympify(ours if not isinstance(ours, Fraction) else sympy.Rational(ours.numerator, ours.denominator))
    )
    assert difference <= sympy.Float("1e-40", 60) * max(1, abs(sympy.N(theirs, 60))), text


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("0.1+0.2", "0.3", True),
        ("1/3", "0.3333333333333333", False),
        ("0.9999999999999", "1", False),
        ("\\frac{1}{100!}", "\\frac{1}{50!}", False),
        ("\\pi\\cdot10^{-10}", "2\\pi\\cdot10^{-10}", False),
        ("\\sqrt{8}", "2\\sqrt{2}", True),
        ("\\sqrt{2}", "1.41421356237309504880", False),
        ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}", True),
        ("\\sin(30°)", "0.5", True),
        ("(-8)^{2}", "64", True),
        ("2^{100}", "1267650600228229401496703205376", True),
        ("\\binom{5}{3}", "10", True),
        ("\\log_2 8", "3", True),
        ("3e8", "300000000", True),
        ("2\\frac{1}{2}", "2.5", True),
    ],
)
def test_equal_values(left, right, same):
    assert values.same(values.value(parse(left)), values.value(parse(right))) is same


@pytest.mark.parametrize("text", ["9^{9^{9^{9}}}", "1000000!", "10^{10^{10}}"])
def test_beyond_all_limits(text):
    with pytest.raises(Undecided):
        values.value(parse(text))


@pytest.mark.parametrize("text", ["x", "1/0", "2x+1"])
def test_no_value(text):
    with pytest.raises(NoValue):
        values.value(parse(text))
