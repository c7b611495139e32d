"""Show that two trees have different values: in double precision, with a bound on the rounding error of every step.

Letters stand for fixed numbers of a point's size, at some points whole ones. A decimal may be off by DECIMAL. Equal
values prove nothing, and a step without a real result, or without a useful bound, leaves the question open.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

from mentor.rewards.expressions import Tree

POINTS = (  # size of the letters, and whether they are whole; later ones where earlier ones have no value
    (1.0, False), (4.0, False), (30.0, False), (8.0, True), (25.0, True), (0.2, False), (1.1, False), (5.0, False),
)  # fmt: skip
ENOUGH = 3  # points with equal values
DECIMAL = 1e-5  # of its value or of 1, ten times what answers may differ by
ROUNDING = 2.0**-50  # of one operation, relative
SEPARATION = 1e-9  # relative, that two values must be apart beyond their bounds

Point = tuple[float, bool]
Bounded = tuple[float, float]  # a value, and how far it may be from the true one


class Undefined(Exception):
    """There is no real value here, or nothing is known about it."""


def different(left: Tree, right: Tree) -> bool:
    """Return whether the values certainly differ at a point where both have one."""
    defined = 0
    for point in POINTS:
        try:
            (first, first_error), (second, second_error) = _value(left, point), _value(right, point)
        except (Undefined, OverflowError, ZeroDivisionError, ValueError):
            continue
        margin = first_error + second_error + SEPARATION * max(abs(first), abs(second))
        if abs(first - second) > margin:
            return True
        defined += 1
        if defined == ENOUGH:
            break
    return False


def below(left: Tree, right: Tree) -> bool:
    """Return whether the left value is certainly below the right one; both without letters."""
    try:
        (first, first_error), (second, second_error) = _value(left, POINTS[0]), _value(right, POINTS[0])
    except (Undefined, OverflowError, ZeroDivisionError, ValueError):
        return False
    if math.isinf(first) or math.isinf(second):
        return first < second
    return second - first > first_error + second_error + SEPARATION * max(abs(first), abs(second))


def _value(tree: Tree, point: Point) -> Bounded:
    match tree:
        case ("number", number):
            return _rounded(float(number), 0.0)
        case ("decimal", number):
            return _rounded(float(number), DECIMAL * max(1.0, abs(float(number))))
        case ("letter", "e"):
            return _rounded(math.e, 0.0)
        case ("letter", name):
            size, whole = point
            position = zlib.crc32(f"{size} {name}".encode()) / 2**32
            return (2.0 + int(size * position) if whole else size * (0.6 + 1.3 * position)), 0.0
        case ("pi",):
            return _rounded(math.pi, 0.0)
        case ("infinity",):
            return math.inf, 0.0  # comes alone or negative
        case ("negative", part):
            value, error = _value(part, point)
            return -value, error
        case ("call", name, argument):
            return _value(("letter", f"{name} of {_value(argument, point)[0]}"), point)
    parts = [_value(part, point) for part in tree[1:]]
    if tree[0] in _OPERATIONS:
        return _OPERATIONS[tree[0]](*parts)
    function, slope = _FUNCTIONS[tree[0]]
    (value, error), *_ = parts
    result = function(value)
    # The slope is taken at both ends of the interval; between them it is bounded where the interval is small.
    steepest = max(abs(slope(value - error)), abs(slope(value + error)))
    if error * steepest > 1e-6 * max(1.0, abs(result)):
        raise Undefined
    return _rounded(result, 2 * steepest * error)


def _rounded(value: float, error: float) -> Bounded:
    if not (math.isfinite(value) and math.isfinite(error)):
        raise Undefined
    return value, error + ROUNDING * abs(value)


def _add(left: Bounded, right: Bounded) -> Bounded:
    return _rounded(left[0] + right[0], left[1] + right[1])


def _multiply(left: Bounded, right: Bounded) -> Bounded:
    error = abs(left[0]) * right[1] + abs(right[0]) * left[1] + left[1] * right[1]
    return _rounded(left[0] * right[0], error)


def _divide(left: Bounded, right: Bounded) -> Bounded:
    least = abs(right[0]) - right[1]
    if least <= 0:
        raise Undefined
    quotient = left[0] / right[0]
    return _rounded(quotient, (left[1] + abs(quotient) * right[1]) / least)


def _power(base: Bounded, exponent: Bounded) -> Bounded:
    if exponent[0] == round(exponent[0]) and exponent[1] <= ROUNDING * abs(exponent[0]) and abs(exponent[0]) <= 10_000:
        count = int(exponent[0])
        least = abs(base[0]) - base[1]
        if count < 0 and least <= 0:
            raise Undefined
        value = base[0] ** count
        relative = 0.0 if base[1] == 0 else base[1] / least if least > 0 else math.inf
        if base[0] == 0 and base[1] == 0:
            return (0.0, 0.0) if count > 0 else _undefined()
        if abs(count) * relative > 1e-3:
            raise Undefined
        return _rounded(value, 2 * abs(count) * (relative + ROUNDING) * abs(value))
    least = base[0] - base[1]
    if least <= 0:
        raise Undefined
    value = base[0] ** exponent[0]
    relative = abs(exponent[0]) * base[1] / least + exponent[1] * (abs(math.log(base[0])) + base[1] / least)
    if relative > 1e-3:
        raise Undefined
    return _rounded(value, (2 * relative + ROUNDING * (1 + abs(exponent[0]))) * abs(value))


def _undefined() -> Bounded:
    raise Undefined


def _floor(part: Bounded) -> Bounded:
    low, high = math.floor(part[0] - part[1] - SEPARATION), math.floor(part[0] + part[1] + SEPARATION)
    if low != high:
        raise Undefined
    return float(low), 0.0


def _ceil(part: Bounded) -> Bounded:
    value, _ = _floor((-part[0], part[1]))
    return -value, 0.0


def _absolute(part: Bounded) -> Bounded:
    return abs(part[0]), part[1]


def _factorial(part: Bounded) -> Bounded:
    number = part[0]
    if not -50 <= number <= 100 or (number < 0 and abs(number - round(number)) < 0.05) or part[1] > 1e-3:
        raise Undefined
    value = math.gamma(number + 1)
    return _rounded(value, abs(value) * (100 * part[1] + 1e-12))  # the slope of its logarithm is below 40 here


def _binomial(top: Bounded, bottom: Bounded) -> Bounded:
    rest = _add(top, (-bottom[0], bottom[1]))
    return _divide(_factorial(top), _multiply(_factorial(bottom), _factorial(rest)))


_OPERATIONS: dict[str, Callable[..., Bounded]] = {
    "add": _add,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "floor": _floor,
    "ceil": _ceil,
    "absolute": _absolute,
    "factorial": _factorial,
    "binomial": _binomial,
}
_FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {  # each with its slope
    "sin": (math.sin, lambda x: 1.0),
    "cos": (math.cos, lambda x: 1.0),
    "tan": (math.tan, lambda x: 1 / math.cos(x) ** 2),
    "cot": (lambda x: 1 / math.tan(x), lambda x: 1 / math.sin(x) ** 2),
    "sec": (lambda x: 1 / math.cos(x), lambda x: 1 / math.cos(x) ** 2),
    "csc": (lambda x: 1 / math.sin(x), lambda x: 1 / math.sin(x) ** 2),
    "arcsin": (math.asin, lambda x: 1 / math.sqrt(1 - x * x)),
    "arccos": (math.acos, lambda x: 1 / math.sqrt(1 - x * x)),
    "arctan": (math.atan, lambda x: 1.0),
    "sinh": (math.sinh, math.cosh),
    "cosh": (math.cosh, math.sinh),
    "tanh": (math.tanh, lambda x: 1.0),
    "ln": (math.log, lambda x: 1 / x),
}
