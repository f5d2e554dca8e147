"""Two pieces of mathematics, both read by one reader: the same, another, or not to be told."""

import pytest

from mixpo.verdicts.mathematics.compare import same

SAME = (
    (r"x \ge 4", r"[4, \infty)"),
    (r"|x| < 3", "(-3, 3)"),
    ("x = 2 or x = 3", r"\{3, 2\}"),
    ("x = \\pm 2", "2, -2"),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}"),
    ("2x + 3y = 6", "4x + 6y = 12"),
    ("y = 2x + 1", "2x - y + 1 = 0"),
    ("(x+1)^2", "x^2 + 2x + 1"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"),
    ("f(x) = x^2", "x^2"),
    ("-x", "-1*x"),
    (r"(-\infty, 1) \cup (2, 3]", "(2,3] ∪ (-∞,1)"),
    ("(1, 2)", r"\left(1, \frac{4}{2}\right)"),
    ("3:4", "6:8"),
    (r"30^{\circ}", "30°"),
    ("a + b", "b + a"),
)
OTHER = (
    ("x = 5", "y = 7"),
    ("2x + 3y = 6", "x - y = 100"),
    ("(-3, 4)", "(3, 4)"),
    ("[0, 1)", "(0, 1]"),
    ("-x", "x"),
    ("|x|", "x"),
    ("5x", "5"),
    ("f(5)", "5"),
    ("a_5", "5"),
    ("5!", "5"),
    (r"\pm 5", "5"),
    (r"\log_2 8", "2"),
    (r"\binom{5}{3}", "15"),
    (r"x > 4", r"[4, \infty)"),
    (r"\{1, 2, 3\}", r"\{1, 2\}"),
    ("(1, 2)", "(2, 1)"),
    (r"\pi\cdot10^{-10}", r"2\pi\cdot10^{-10}"),
    ("x^2", "x_2"),
    ("f'(x)", "f(x)"),
    (r"\overline{AB}", "AC"),
    ("3:4", "4:3"),
    (r"\begin{pmatrix} 1 & 2 \end{pmatrix}", r"\begin{pmatrix} 2 & 1 \end{pmatrix}"),
)


@pytest.mark.parametrize(("left", "right"), SAME)
def test_same(left, right):
    assert same(left, right) is True
    assert same(right, left) is True


@pytest.mark.parametrize(("left", "right"), OTHER)
def test_another(left, right):
    assert same(left, right) is not True
    assert same(right, left) is not True


@pytest.mark.parametrize("text", [*(left for left, _ in SAME), *(left for left, _ in OTHER)])
def test_itself(text):
    assert same(text, text) is True
