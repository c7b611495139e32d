"""Whether two expressions, or two lists of them, have equal values: exactly, or not at all.

Equal normal forms are equal. Different values are different, and so are different forms whose parts are independent.
Nothing else is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mentor.rewards.expressions import Expression, Listing, Reading, Tree
from mentor.rewards.magnitude import is_vast
from mentor.rewards.normal_forms import NoForm, normal_form
from mentor.rewards.numeric import below, different

MAX_ITEMS = 12


def equal_expressions(given: Expression, wanted: Expression) -> bool | None:
    """Return whether they are equal, None where that is open. `x = 5` is 5; `x = 5` and `y = 5` are left open."""
    if given.ending != wanted.ending:
        return None
    heads = {(side.name, side.relation) for side in (given, wanted)}
    if len(heads) > 1:
        bare = given if not given.name else wanted
        if bare.name or isinstance(bare.value, Listing):
            return None
        if {relation for _, relation in heads} != {"", "="}:
            return False  # an inequality and a value
    if any(_contains(side.value, name) for side in (given, wanted) for name in {given.name, wanted.name} if name):
        return None
    return equal_readings(given.value, wanted.value)


def equal_readings(given: Reading, wanted: Reading) -> bool | None:
    """Return whether two trees or listings are equal, None where that is open."""
    if isinstance(given, Listing) and isinstance(wanted, Listing):
        return _equal_listings(given, wanted)
    if isinstance(given, Listing):
        return _equal_to_one(given, wanted)
    if isinstance(wanted, Listing):
        return _equal_to_one(wanted, given)
    return equal_trees(given, wanted)


def equal_trees(given: Tree, wanted: Tree) -> bool | None:
    """Return whether two expressions are equal, None where that is open.

    A number that is too large to be computed (`magnitude.py`) equals one that is written with the same operations.
    """
    if given == wanted:
        return True
    if is_vast(given) or is_vast(wanted):
        return _equal_parts(given, wanted)
    if ("infinity",) in (given, wanted) or ("negative", ("infinity",)) in (given, wanted):
        return False
    try:
        left, right = normal_form(given), normal_form(wanted)
        if left.same(right):
            return True
        if not left.opaque and not right.opaque:
            return False
    except NoForm:
        pass
    return False if different(given, wanted) else None


def _equal_parts(given: Tree, wanted: Tree) -> bool:
    """Return whether they are the same operation on equal parts: all that is said of numbers that are not computed."""
    if given[0] != wanted[0] or len(given) != len(wanted) or given[0] in ("number", "decimal", "letter", "call"):
        return False
    return all(equal_trees(*parts) for parts in zip(given[1:], wanted[1:], strict=True))


def _equal_listings(given: Listing, wanted: Listing) -> bool | None:
    if (given.opening, given.closing) != (wanted.opening, wanted.closing):
        return None
    if given.opening in ("", ",", "\\{", "\\cup"):
        verdict = _equal_sets(given.items, wanted.items)
        apart = given.opening != "\\cup" or (_are_apart(given.items) and _are_apart(wanted.items))
        return verdict if verdict or apart else None
    if len(given.items) != len(wanted.items):
        return False
    verdicts = [equal_readings(*pair) for pair in zip(given.items, wanted.items, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def _equal_sets(given: Sequence[Reading], wanted: Sequence[Reading]) -> bool | None:
    """Return whether the items are equal one to one in some order; None where that is not known."""
    if max(len(given), len(wanted)) > MAX_ITEMS:
        return None
    table = [[equal_readings(item, other) for other in wanted] for item in given]
    columns = list(zip(*table, strict=True))
    if any(all(verdict is False for verdict in line) for line in [*table, *columns]):
        return False
    one_each = all(line.count(True) == 1 and line.count(None) == 0 for line in [*table, *columns])
    return True if one_each and len(given) == len(wanted) else None


def _are_apart(items: Sequence[Reading]) -> bool:
    """Whether these are intervals from left to right with gaps between them, so that no other ones are their union."""
    ends: list[Tree] = []
    for item in items:
        if not isinstance(item, Listing) or item.opening == "\\{" or len(item.items) != 2:
            return False
        ends += [end for end in item.items if not isinstance(end, Listing)]
    return len(ends) == 2 * len(items) and all(below(*pair) for pair in pairwise(ends))


def _equal_to_one(listing: Listing, value: Reading) -> bool | None:
    """A list of different items, a matrix or a union of intervals is no single value; a set of one is its item."""
    if listing.opening == "\\{" and len(listing.items) == 1:
        return equal_readings(listing.items[0], value)
    if listing.opening == "matrix" or (listing.opening == "\\cup" and _are_apart(listing.items)):
        return None if isinstance(value, Listing) else False
    if listing.opening == "\\cup" or len(listing.items) > MAX_ITEMS:
        return None
    return False if any(equal_readings(listing.items[0], item) is False for item in listing.items[1:]) else None


def _contains(value: Reading, name: str) -> bool:
    if isinstance(value, Listing):
        return any(_contains(item, name) for item in value.items)
    return value == ("letter", name) or any(isinstance(part, tuple) and _contains(part, name) for part in value[1:])
