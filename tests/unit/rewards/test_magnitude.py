"""Numbers that are too large to be computed."""

import pytest

from mentor.rewards.expressions import read_expression
from mentor.rewards.magnitude import is_vast


@pytest.mark.parametrize(
    ("text", "vast"),
    [
        ("2039191!", True),
        ("10^{10^{10}}", True),
        (r"\frac{1}{9^{9^{9}}}", True),
        (r"\sqrt{2039191!} + 1", True),
        (r"\binom{1000000}{500000}", True),
        ("(10^{100})!", True),
        ("3000!", False),
        ("2^{2009}", False),
        ("10^{10000}", False),
        (r"\binom{100}{50}", False),
        ("x^{100}", False),
        ("n!", False),
        (r"\sin(2^{10})", False),
    ],
)
def test_is_vast(text: str, vast: bool) -> None:
    expression = read_expression(text)
    assert expression is not None and is_vast(expression.value) is vast
