"""Constants that math-verify's 15 decimals cannot tell apart."""

import pytest
from sympy import FiniteSet, Float, Integer, Rational, Symbol, Tuple, pi, sqrt

from mentor.rewards.constants import different

TINY = Rational(1, 10**30)


@pytest.mark.parametrize(
    ("given", "wanted", "is_different"),
    [
        (sqrt(2), sqrt(2) + TINY, True),
        (sqrt(8), 2 * sqrt(2), False),
        (Integer(1), 1 + TINY, True),
        (Float("3.14159265"), pi, False),  # 3.6e-9 apart
        (Float("3.1416"), pi, True),  # 7.3e-6 apart
        (Symbol("x"), Symbol("x") + 1, False),  # left to math-verify
        (Tuple(Integer(1), sqrt(2)), Tuple(Integer(1), sqrt(2)), False),
        (Tuple(Integer(1), sqrt(2)), Tuple(Integer(1)), True),
        (Tuple(Integer(1), sqrt(2)), Tuple(sqrt(2), Integer(1)), True),
        (FiniteSet(1, sqrt(2)), FiniteSet(sqrt(2), 1), False),
        (FiniteSet(1, 2), FiniteSet(1, 3), True),
        ("text", Integer(1), False),
    ],
)
def test_different(given: object, wanted: object, is_different: bool) -> None:
    assert different(given, wanted) is is_different
