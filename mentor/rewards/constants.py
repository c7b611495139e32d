"""Tell constants apart that differ by less than the 15 decimals to which math-verify compares.

Runs inside a grader process only. Constants without a decimal point are compared exactly where they are rational,
else to 40 digits; with one, as `answers.py` compares decimals. Anything with a variable is left to math-verify.
"""

from __future__ import annotations

from typing import Any

from sympy import Expr, Float, Rational, Tuple  # type: ignore[import-untyped]
from sympy import FiniteSet as Set

DIGITS = 50
MOST_DIGITS = 2000  # to compute with, where some cancel out
CERTAIN = 40  # of DIGITS that must agree
ROUNDING = 1 + Rational(1, 10**6)  # 0.333333 is at the limit of what passes for 1/3


def different(given: Any, wanted: Any) -> bool:
    """Return whether both are constants, or tuples or sets of them, of certainly different values; False is no verdict.

    Raises what sympy does, as PrecisionExhausted where too many digits cancel out (in a zero that is no plain 0, say).
    """
    if isinstance(given, Tuple) and isinstance(wanted, Tuple):
        pairs = zip(given.args, wanted.args, strict=False)
        return len(given.args) != len(wanted.args) or any(different(*pair) for pair in pairs)
    if isinstance(given, Set) and isinstance(wanted, Set):
        return any(all(different(entry, member) for entry in given.args) for member in wanted.args)
    if not all(isinstance(value, Expr) and not value.free_symbols for value in (given, wanted)):
        return False
    if given.is_rational and wanted.is_rational and not (given.has(Float) or wanted.has(Float)):
        return bool(given.doit() != wanted.doit())
    left, right = (value.evalf(DIGITS, maxn=MOST_DIGITS, strict=True) for value in (given, wanted))
    if not (left.is_number and right.is_number and left.is_finite and right.is_finite):
        return False
    size = abs(right)
    if given.has(Float) or wanted.has(Float):
        return bool(abs(left - right) > max(min(1, size) / 10**6, size / 10**12) * ROUNDING)
    return bool(abs(left - right) > size / Rational(10) ** CERTAIN)
