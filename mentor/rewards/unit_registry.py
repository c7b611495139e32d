"""Units as pint knows them: which symbols there are, and how many of one unit make one of another.

pint's registry takes some tenths of a second, and is made when it is asked for the first time.
"""

from __future__ import annotations

import re
import threading
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pint import UnitRegistry

_LOCK = threading.Lock()  # a registry fills its own caches
_FACTOR = r"[A-Za-zµμΩ]+(?:\^-?\d)?"
_PRODUCT = re.compile(rf"{_FACTOR}(?:[*/]{_FACTOR})*")
NOT_PINTS = ("unit",)  # a millionth of a nit there


@lru_cache(maxsize=4096)
def is_symbol(text: str) -> bool:
    """Return whether it is a unit without a prefix: of two letters or more; of small letters alone, of three."""
    if len(text) < (3 if text.islower() else 2) or not text.isalpha():
        return False
    with _LOCK:
        return any(not prefix for prefix, _, _ in registry().parse_unit_name(text))


@lru_cache(maxsize=4096)
def conversion(given: str, wanted: str) -> Fraction | None:
    """Return how many of the wanted unit are one of the given; None where they do not measure the same.

    Both are names as `units.unit_name` gives them. The factor is a double's; a unit with another zero, or of
    a logarithm, has none.
    """
    if any(name.startswith(NOT_PINTS) or not _PRODUCT.fullmatch(name) for name in (given, wanted)):
        return None
    from pint.errors import PintError

    with _LOCK:
        try:
            from_unit, to_unit = map(registry().parse_units, (given, wanted))
            one, two = (registry().Quantity(value, from_unit).to(to_unit).magnitude for value in (1.0, 2.0))
        except PintError:  # other dimensions, or no unit of pint's
            return None
    return Fraction(one) if two == 2 * one else None


@cache
def registry() -> UnitRegistry[float]:
    from pint import UnitRegistry

    return UnitRegistry()
