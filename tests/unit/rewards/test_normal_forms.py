"""Exact normal forms, by identities worked out by hand."""

import pytest

from mentor.rewards.expressions import read_expression
from mentor.rewards.normal_forms import NoForm, normal_form


def form(text):
    return normal_form(read_expression(text).value)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{12}", r"2\sqrt{3}"),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
        (r"\frac{1}{1+\sqrt{2}}", r"\sqrt{2}-1"),  # (1 + r)(r - 1) = 2 - 1
        (r"(1+\sqrt{3})^2", r"4+2\sqrt{3}"),
        (r"\sqrt[3]{16}", r"2\cdot 2^{1/3}"),
        (r"\sqrt{\frac{3}{4}}", r"\frac{\sqrt{3}}{2}"),
        (r"8^{-2/3}", r"\frac{1}{4}"),
        ("(x+1)(x-1)", "x^2-1"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\frac{1}{x}+\frac{1}{y}", r"\frac{x+y}{xy}"),
        (r"\sqrt{x}\sqrt{x}", "x"),
        (r"\sqrt{4x+4}", r"2\sqrt{x+1}"),
        ("2^{n+1}", r"2\cdot 2^n"),
        ("4^n", "2^{2n}"),
        ("6^n", r"2^n \cdot 3^n"),
        ("(-1)^{n+1}", "-(-1)^n"),
        ("x^{n}x", "x^{n+1}"),
        (r"\binom{n}{2}", "n(n-1)/2"),
        (r"\binom{5}{2}", "10"),
        ("5!", "120"),
        (r"\ln(12)", r"2\ln(2)+\ln(3)"),
        (r"\log_{2}(8)", "3"),
        (r"\sin(2x+x)", r"\sin(3x)"),
        ("|-3|", "3"),
        ("2^{2000}-2^{1999}", "2^{1999}"),
        ("1^{100000}", "1"),
    ],
)
def test_equal_forms(left, right):
    assert form(left).same(form(right))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (r"\sqrt{2}", r"\sqrt{3}"),
        (r"\sqrt{2}", "2^{1/3}"),
        (r"\pi", "3"),
        ("x+1", "x+2"),
        ("2^n", "3^n"),
        ("x^n", "x^2"),
    ],
)
def test_different_forms_of_independent_parts(left, right):
    first, second = form(left), form(right)
    assert not first.same(second)
    assert not first.opaque and not second.opaque


@pytest.mark.parametrize("text", [r"\sin(x)", r"\sqrt{x+1}", r"\sqrt{xy}", "x!", "(-1)^n", "(x+1)^n"])
def test_what_may_be_related_to_other_parts(text):
    assert form(text).opaque


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{1}{0}",
        r"\sqrt{-2}",
        r"0^{-1}",
        r"\ln(0)",
        "(-2)!",
        "1.5x",
        "(x+y)^{50}",
        r"10^{100000}",
        r"\sqrt{1000000007}",  # a prime that trial division does not reach
    ],
)
def test_there_is_no_form(text):
    with pytest.raises(NoForm):
        form(text)
