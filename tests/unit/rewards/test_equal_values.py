"""Expressions and lists of them compared by value."""

import pytest

from mentor.rewards.equal_values import equal_expressions
from mentor.rewards.expressions import read_expression


@pytest.mark.parametrize(
    ("given", "wanted", "verdict"),
    [
        ("x+1", "1+x", True),
        ("x+1", "x-1", False),
        (r"\sin^2(x)", r"1-\cos^2(x)", None),  # equal values prove nothing
        (r"\sin(x)", r"\cos(x)", False),
        ("x = 5", "5", True),
        ("5", "x = 5", True),
        ("x = 5", "x = 6", False),
        ("x = 5", "y = 5", None),
        ("x < 5", "x < 5+0", True),
        ("x < 5", "x < 6", False),
        ("x < 5", r"x \leq 5", None),
        ("x < 5", "5", False),
        (r"1 < x < \sqrt{4}", "1 < x < 2", True),
        ("1 < x < 3", "1 < x < 2", False),
        ("x = x+1", "x+1", None),
        (r"(1, \sqrt{4})", "(1, 2)", True),
        ("(1, 3)", "(1, 2)", False),
        ("(1, 2, 3)", "(1, 2)", False),
        ("[1, 2]", "(1, 2)", None),
        ("(2, 1)", "(5, 3)", False),  # two empty intervals to sympy
        (r"\{1, x\}", r"\{x, 1\}", True),
        (r"\{1, x\}", r"\{x, 2\}", False),
        (r"\{1, 1, 2\}", r"\{1, 2\}", None),
        (r"1 \pm \sqrt{2}", r"1-\sqrt{2}, 1+\sqrt{2}", True),
        ("1, 2", "1", False),
        (r"(0, 1) \cup (2, 3)", "1", False),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "1", False),
        (r"\{\sqrt{4}\}", "2", True),
        ("f(x)+1", "1+f(x)", True),
        ("f(x)", "f(y)", False),
        ("f(x)", "fx", False),
        (r"(-\infty, 1) \cup (2, 3)", r"(-\infty, 1) \cup (2, 3)", True),
        (r"(-\infty, 1) \cup (2, 3)", r"(-\infty, 1) \cup (2, 4)", False),
        (r"(0, 1] \cup (1, 3)", r"(0, 2] \cup (2, 3)", None),  # the same set
        (r"(0, \infty)", "(0, 1)", False),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{bmatrix} 1 \\ \sqrt{4} \end{bmatrix}", True),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}", False),
        (r"\frac{1}{2} m", r"\frac{1}{2}", None),  # a unit, or a letter
        (r"\frac{1}{2} m", r"\frac{1}{3} m", False),
    ],
)
def test_verdicts(given, wanted, verdict):
    left, right = read_expression(given), read_expression(wanted)
    assert left is not None and right is not None
    assert equal_expressions(left, right) is verdict
