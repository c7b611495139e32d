"""Whether two constants differ, however near they are: what math-verify's comparison to 15 decimals cannot tell.

Runs inside a grader process only. Constants without a decimal point are compared exactly where they are rational, else
to 40 digits; with one, as `answers.py` compares decimals. Anything with a variable is left to math-verify.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, Float, Rational, Tuple, default_sort_key  # type: ignore[import-untyped]
from sympy import FiniteSet as Set

DIGITS = 50
CERTAIN = 40  # of those; the others may be lost in cancellation


def different(given: Any, wanted: Any) -> bool:
    """True where both are constants, or tuples or sets of them, of certainly different values; False says nothing."""
    if isinstance(given, Tuple | Set) and isinstance(wanted, Tuple | Set):
        pairs = zip(_members(given), _members(wanted), strict=False)
        return len(given.args) == len(wanted.args) and any(different(left, right) for left, right in pairs)
    if not all(isinstance(value, Expr) and not value.free_symbols for value in (given, wanted)):
        return False
    rounded = given.has(Float) or wanted.has(Float)
    given, wanted = given.doit(), wanted.doit()
    if isinstance(given, Rational) and isinstance(wanted, Rational):
        return bool(given != wanted)
    left, right = given.evalf(DIGITS), wanted.evalf(DIGITS)
    if not (left.is_number and right.is_number and left.is_finite and right.is_finite):
        return False
    size = abs(right)
    close = max(min(1, size) / 10**6, size / 10**12) if rounded else max(1, size) / Rational(10) ** CERTAIN
    return bool(abs(left - right) > close)


def _members(values: Any) -> list[Any]:
    """In order; those of a set by value."""
    if isinstance(values, Tuple):
        return list(values.args)
    return sorted(values.args, key=lambda value: default_sort_key(value.evalf()))
