"""The built-in calculator: 12 tools, run by the sandbox as source text and never imported by the program.

Every public function is a tool: its type hints and docstring are its schema. Functions keep no state.
"""

import math


def add(a: float, b: float) -> float:
    """Add two numbers.

    Args:
        a: First number.
        b: Second number.
    """
    return a + b


def subtract(a: float, b: float) -> float:
    """Subtract b from a.

    Args:
        a: Number to subtract from.
        b: Number to subtract.
    """
    return a - b


def multiply(a: float, b: float) -> float:
    """Multiply two numbers.

    Args:
        a: First number.
        b: Second number.
    """
    return a * b


def divide(a: float, b: float) -> float:
    """Divide a by b.

    Args:
        a: Dividend.
        b: Divisor, not 0.
    """
    return a / b


def modulo(a: float, b: float) -> float:
    """Remainder of a divided by b.

    Args:
        a: Dividend.
        b: Divisor, not 0.
    """
    return a % b


def power(base: float, exponent: float) -> float:
    """Raise base to exponent.

    Args:
        base: Number to raise.
        exponent: Power to raise it to.
    """
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("a negative base needs a whole exponent")
    return result


def sum_numbers(numbers: list[float]) -> float:
    """Add all numbers of a list.

    Args:
        numbers: Numbers to add.
    """
    return sum(numbers)


def floor(x: float) -> int:
    """Round down to a whole number.

    Args:
        x: Number to round.
    """
    return math.floor(x)


def ceil(x: float) -> int:
    """Round up to a whole number.

    Args:
        x: Number to round.
    """
    return math.ceil(x)


def round_number(x: float, digits: int = 0) -> float:
    """Round to a number of decimals.

    Args:
        x: Number to round.
        digits: Decimals to keep, 0 by default.
    """
    if digits < 0:
        return _round_to_tens(x, -digits)
    # Formatting rounds the exact value, as `round` does in CPython; monty's `round` multiplies first.
    return x if isinstance(x, int) else float(f"{x:.{min(digits, 324)}f}")


def _round_to_tens(x, zeros):
    """Round to a multiple of 10**zeros, halves to the even one."""
    if isinstance(x, float) and (zeros > 308 or not math.isfinite(x)):
        return 0.0 * x if math.isfinite(x) else x
    unit = 10**zeros
    whole = math.floor(x)
    below, rest = divmod(whole, unit)
    past_half = 2 * rest - unit or x - whole
    rounded = (below + (past_half > 0 or (past_half == 0 and below % 2 == 1))) * unit
    return rounded if isinstance(x, int) else float(str(rounded))


def sqrt(x: float) -> float:
    """Square root.

    Args:
        x: Number that is not negative.
    """
    return math.sqrt(x)


def abs_value(x: float) -> float:
    """Absolute value.

    Args:
        x: Any number.
    """
    return abs(x)
