"""Values that certainly differ."""

import math

import pytest

from mentor.rewards import numeric
from mentor.rewards.expressions import read_expression


def tree(text):
    return read_expression(text).value


def different(left, right):
    return numeric.different(tree(left), tree(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sin(x)", r"\cos(x)"),
        (r"\sqrt{x+1}", r"\sqrt{x}+1"),
        (r"\frac{1}{6}+\frac{1}{3(-2)^{k}}", r"\frac{5}{6}+\frac{1}{3(-2)^{k}}"),  # at whole numbers
        (r"\lfloor x+1/2\rfloor", r"\lfloor x\rfloor"),
        ("x!", "x"),
        (r"\arcsin(1/2)", r"\arccos(1/2)"),
        (r"\ln(2)", "0.7"),
        (r"\tan(1)", r"\cot(1)"),
        (r"|x-5|", "x-5"),
        (r"\binom{n}{k}", r"\binom{n}{k+1}"),
        (r"\sinh(x)", r"\cosh(x)"),
    ],
)
def test_different_values(left, right):
    assert different(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sin^2(x)", r"1-\cos^2(x)"),
        (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
        (r"10^{30}+1-10^{30}", "1"),  # lost in rounding, within the bound
        (r"\sqrt{10^{30}+1}", r"10^{15}"),  # nearly equal
        (r"\sqrt{-x}", r"\sqrt{-x-1}"),  # no real value
        (r"10^{400}", "1"),  # too large
        (r"\ln(2)", "0.6931472"),  # a rounding
        (r"\frac{1}{x-x}", "1"),
    ],
)
def test_nothing_is_said(left, right):
    assert not different(left, right)


def test_the_bound_of_a_cancellation_is_that_of_its_parts():
    value, error = numeric._value(tree(r"10^{20}+1-10^{20}"), numeric.POINTS[0])
    assert abs(value - 1) <= error
    assert error < 1e8


def test_below():
    assert numeric.below(tree("1"), tree(r"\sqrt{2}"))
    assert not numeric.below(tree(r"\sqrt{2}"), tree("1"))
    assert numeric.below(("negative", ("infinity",)), tree("1"))
    assert not numeric.below(tree(r"\ln(0)"), tree("1"))


def test_the_letter_e_is_eulers_number():
    assert numeric._value(("letter", "e"), numeric.POINTS[0])[0] == math.e
