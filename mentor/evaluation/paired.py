"""Paired tests of two models that answered the same tasks: the differences are compared task by task.

Tasks are what is resampled: seeds and samples of a model are averaged within each task first, so the claim is about
these checkpoints on tasks like these. Every number is the same at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
CHUNK = 1 << 21  # drawn tasks that are held at a time
TIE = (
    1e-9  # relative to the largest possible sum: sums as far from 0 as the observed one count, whatever their rounding
)

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """Mean difference over `n` tasks, its 95 % interval, and the two-sided p value of no difference."""

    n: int
    difference: float
    low: float
    high: float
    p: float


def paired_tests(differences: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> list[Difference]:
    """Test each comparison. differences: (comparisons, n) of task scores, first - second; n is at least 1.

    The interval is the percentile bootstrap over tasks (Efron 1979). The p value is the randomisation test's (Fisher
    1935): without a difference, the sign of each task's difference is as good as a coin toss. It is
    (1 + k) / (1 + resamples), so never 0. All comparisons share their draws.
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"differences of shape {values.shape} were given; accepted: (comparisons, n), none of them 0")
    n = values.shape[1]
    generator = np.random.default_rng(seed)
    low, high = np.quantile(_resampled_means(values, resamples, generator), [0.025, 0.975], axis=0)
    p = _random_sign_p(values, resamples, generator)
    rows = zip(values.mean(axis=1), low, high, p, strict=True)
    return [Difference(n, *map(float, row)) for row in rows]


def _resampled_means(values: Matrix, resamples: int, generator: np.random.Generator) -> Matrix:
    """(resamples, comparisons) means of n tasks drawn with replacement."""
    n = values.shape[1]
    means = []
    for part in _parts(resamples, n):
        drawn = generator.integers(n, size=(part, n)) + n * np.arange(part)[:, None]
        times = np.bincount(drawn.ravel(), minlength=part * n).reshape(part, n)  # how often each task was drawn
        means.append(times @ values.T / n)
    return np.concatenate(means)


def _random_sign_p(values: Matrix, resamples: int, generator: np.random.Generator) -> Matrix:
    """(comparisons,) from how often random signs give a sum as far from 0 as the observed one, or further."""
    total = values.sum(axis=1)
    observed = np.abs(total) - TIE * np.abs(values).sum(axis=1)
    beyond = np.zeros(len(values))
    for part in _parts(resamples, values.shape[1]):
        kept = generator.integers(2, size=(part, values.shape[1]), dtype=np.int8).astype(float)
        beyond += (np.abs(2 * kept @ values.T - total) >= observed).sum(axis=0)
    return (1 + beyond) / (1 + resamples)


def _parts(resamples: int, n: int) -> list[int]:
    size = max(1, CHUNK // n)
    return [min(size, resamples - start) for start in range(0, resamples, size)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p values of one family for multiple comparisons (Holm 1979): controls the family-wise error rate."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
