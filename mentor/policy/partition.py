"""Rows of a batch over ranks, balanced by tokens. Every rank computes the same partition."""

from __future__ import annotations

from collections.abc import Sequence


def balanced_partition(tokens: Sequence[int], ranks: int) -> list[list[int]]:
    """Give every rank its indices: longest first, each to the rank that has the fewest tokens so far."""
    parts: list[list[int]] = [[] for _ in range(ranks)]
    loads = [0] * ranks
    for index in sorted(range(len(tokens)), key=lambda i: (-tokens[i], i)):
        least = loads.index(min(loads))
        parts[least].append(index)
        loads[least] += tokens[index]
    return [sorted(part) for part in parts]
