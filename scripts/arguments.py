"""Types of the scripts' arguments: a number that would make a script do nothing is refused."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    """Return the whole number of 1 or more that an argument is. Raises ArgumentTypeError for anything else."""
    return _whole(text, 1)


def whole_number(text: str) -> int:
    """Return the whole number of 0 or more that an argument is. Raises ArgumentTypeError for anything else."""
    return _whole(text, 0)


def _whole(text: str, low: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= low):
        raise ArgumentTypeError(f"{text!r} is not accepted; accepted: a whole number of {low} or more")
    return int(text)


def positive_seconds(text: str) -> float:
    """Return the finite number above 0 that an argument is. Raises ArgumentTypeError for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{text!r} is not accepted; accepted: a number of seconds above 0")
    return seconds
