"""How work is divided over processes, evenly by tokens. Every process computes the same division."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate


def balanced_shares(tokens: Sequence[int], processes: int) -> list[list[int]]:
    """The indices each process takes: longest first, each to the process that has the least so far."""
    shares: list[list[int]] = [[] for _ in range(processes)]
    loads = [0] * processes
    for index in sorted(range(len(tokens)), key=lambda i: (-tokens[i], i)):
        least = loads.index(min(loads))
        shares[least].append(index)
        loads[least] += tokens[index]
    return [sorted(share) for share in shares]


def consecutive_shares(tokens: Sequence[int], processes: int) -> list[range]:
    """As near to even as consecutive runs can be, so that trajectories of one prompt mostly stay together."""
    ends = list(accumulate(tokens))
    total = ends[-1] if ends else 0
    cuts = [0]
    for process in range(1, processes):
        wanted = total * process / processes
        nearest = min(range(cuts[-1], len(tokens) + 1), key=lambda i: abs((ends[i - 1] if i else 0) - wanted))
        cuts.append(nearest)
    cuts.append(len(tokens))
    return [range(start, stop) for start, stop in zip(cuts, cuts[1:], strict=False)]
