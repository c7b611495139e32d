"""How large the numbers in a tree are, as far as that keeps them from being computed: `2039191!`, `10^{10^{10}}`."""

from __future__ import annotations

import math

from mentor.rewards.expressions import Tree

VAST_BITS = 200_000  # of a number that nothing here computes


def is_vast(tree: Tree) -> bool:
    """Return whether a number in it, or on the way to its value, has more than VAST_BITS bits."""
    return _bits(tree) > VAST_BITS


def _bits(tree: Tree) -> float:
    """At least the logarithm to base 2 of the largest absolute value in it; a letter counts as a small number."""
    match tree:
        case ("number" | "decimal", value):
            return float(max(value.numerator.bit_length(), value.denominator.bit_length()))
        case ("letter" | "pi" | "infinity", *_):
            return 2.0
        case ("call", _, argument):
            return _bits(argument)
        case ("add" | "multiply" | "divide", left, right):
            return _bits(left) + _bits(right)
        case ("power", base, exponent):
            size, times = _bits(base), _value(exponent)
            return max(size, _bits(exponent), size * times)
        case ("factorial", part):
            number = _value(part)
            return number * max(1.0, math.log2(number)) if 0 < number < math.inf else number
        case ("binomial", top, bottom):
            return max(_value(top), _bits(bottom))
    return max((_bits(part) for part in tree[1:]), default=0.0)


def _value(tree: Tree) -> float:
    """At least the absolute value of a tree."""
    if tree[0] in ("number", "decimal"):
        return abs(float(tree[1])) if abs(tree[1]) < 10**300 else math.inf
    bits = _bits(tree)
    return 2.0**bits if bits < 1000 else math.inf
