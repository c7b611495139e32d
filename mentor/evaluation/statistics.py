"""Intervals and similarities, from plain counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

Z_95 = 1.959963984540054


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson 1927); (0, 1) for n = 0.

    The interval encloses the proportion, also at 0 and 1, where the rounded formula misses it by up to 1e-16.
    """
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    denominator = 1 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / denominator
    half = Z_95 / denominator * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate of the chance that one of k samples is right, from n samples of which c are.

    1 - C(n - c, k) / C(n, k): Chen et al. 2021, arXiv:2107.03374, Eq. 1. Needs 1 <= k <= n.
    """
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def tool_similarity(student: Mapping[str, int], teacher: Mapping[str, int]) -> float | None:
    """1 - Jensen-Shannon divergence (base 2) of two distributions of tool names, given as counts: 1 is the same mix.

    None where one of them made no call.
    """
    total_student, total_teacher = sum(student.values()), sum(teacher.values())
    if not total_student or not total_teacher:
        return None
    divergence = 0.0
    for name in sorted(student.keys() | teacher.keys()):  # a set's own order would change the last digit between runs
        p, q = student.get(name, 0) / total_student, teacher.get(name, 0) / total_teacher
        middle = (p + q) / 2
        divergence += sum(share / 2 * math.log2(share / middle) for share in (p, q) if share > 0)
    return 1.0 - divergence
