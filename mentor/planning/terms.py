"""The terms of a phase's memory: sizes in GiB by name, and the arithmetic on them."""

from __future__ import annotations

from collections.abc import Mapping

GIB = 2**30

Terms = dict[str, float]
"""GiB by name."""


def gib(terms: Mapping[str, float]) -> Terms:
    return {name: size / GIB for name, size in terms.items() if size}


def add(*parts: Mapping[str, float]) -> Terms:
    """Add terms of the same name."""
    total: Terms = {}
    for part in parts:
        for name, size in part.items():
            total[name] = total.get(name, 0.0) + size
    return total


def larger(one: Terms, other: Terms) -> Terms:
    return max(one, other, key=lambda terms: sum(terms.values()))


def scaled(terms: Mapping[str, float], factor: float) -> Terms:
    return {name: size * factor for name, size in terms.items()}
