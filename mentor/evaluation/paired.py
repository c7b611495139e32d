"""Paired tests of two methods that answered the same questions.

The difficulty of a question cancels out in the difference of two scores, and so does the base that two models of one
seed were trained from. Every number is the same at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mentor.evaluation.hierarchical import ALPHA, Estimate, Splits, estimate


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods (first - second, shares) on `n` questions, and how sure it is.

    `seeds`: of the difference of every seed; where the seeds of the two do not match, of every pair of models.
    `over_seeds`: about other seeds and other questions; None where a method has one seed only. `here`: about the models
    that were trained and other questions. `none_differ`: whether all verdicts are the same.
    """

    n: int
    difference: float
    by_seed: tuple[float, ...]
    over_seeds: Estimate | None
    here: Estimate
    none_differ: bool

    @property
    def widest(self) -> Estimate:
        """The estimate that claims most: over seeds where there are several."""
        return self.over_seeds or self.here

    def p_value(self, found: Estimate) -> float:
        """Return the two-sided p value of no difference. n questions cannot give less than 2 / 2**n, whatever is seen:
        so often n fair coins fall alike."""
        return 1.0 if self.none_differ else max(found.p_value(), 2.0 ** (1 - self.n))

    def interval(self, found: Estimate, alpha: float = ALPHA) -> tuple[float, float]:
        """Return the interval of level 1 - alpha. It leaves out 0 exactly where the p value is at most alpha.

        Where no verdict differs it is exact: -u to u, of which u is the largest share of questions with different
        verdicts that n questions miss with probability alpha / 2 (Clopper and Pearson 1934).
        """
        if self.none_differ:
            largest = 1 - (alpha / 2) ** (1 / self.n)
            return -largest, largest
        half = 2.0 if 2.0 ** (1 - self.n) > alpha else found.half_width(alpha)
        return max(-1.0, self.difference - half), min(1.0, self.difference + half)


def paired_test(
    first: Splits, second: Splits, *, matched: bool, fixed: tuple[bool, bool] = (False, False)
) -> Difference:
    """Compare two methods on the same questions: of each split a (seeds, questions) matrix of scores, rows by seed.

    matched: whether row by row both have the same seeds. fixed: whether a method has one model because there is one
    alone, such as a base that all seeds share. Splits weigh the same. Raises ValueError for matrices that do not fit.
    """
    shapes = [(one.shape, other.shape) for one, other in zip(first, second, strict=True)]
    if not shapes or any(len(a) != 2 or 0 in a + b or a[1] != b[1] or (matched and a != b) for a, b in shapes):
        raise ValueError(
            f"scores of shapes {shapes} were given; accepted: (seeds, questions), the same questions in both"
        )
    several = [len(splits[0]) > 1 for splits in (first, second)]
    over_seeds = any(several) and all(many or alone for many, alone in zip(several, fixed, strict=True))
    groups = ([one - other for one, other in zip(first, second, strict=True)], None) if matched else (first, second)
    here = estimate(*groups, over_seeds=False, extra=True)
    means = [np.mean([split.mean(axis=1) for split in splits], axis=0) for splits in (first, second)]
    by_seed = means[0] - means[1] if matched else np.subtract.outer(*means).ravel()
    return Difference(
        n=min(one.shape[1] for one in first) * len(first),
        difference=here.mean,
        by_seed=tuple(map(float, by_seed)),
        over_seeds=estimate(*groups, over_seeds=True, extra=True) if over_seeds else None,
        here=here,
        none_differ=all(
            not np.ptp(np.vstack([one, other]), axis=0).any() for one, other in zip(first, second, strict=True)
        ),
    )


def holm_factors(p_values: Sequence[float]) -> list[float]:
    """Return by how much each p value of one family is multiplied to adjust it for multiple comparisons (Holm 1979).

    The adjusted value is min(1, factor * p). An interval of level 1 - alpha / factor leaves out 0 exactly where that
    value is at most alpha.
    """
    factors = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        left, p = len(p_values) - rank, p_values[place]
        largest = max(largest, left * p)
        factors[place] = largest / p if p > 0 else float(left)
    return factors
