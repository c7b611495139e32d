"""How sure a mean score is, over the questions that were asked and over the training seeds of the models asked.

All seeds of a method answer the same questions, so two scores are related when they share a seed or a question. The
variance of the mean has two parts: how far the means of the seeds scatter, and what two seeds have in common on the
same question. Standard errors clustered by question alone (arXiv:2411.00640, section 2.2) are for fixed models. The
interval adds the squares of the half widths of both parts (Zou and Donner 2008), each with its own quantile of
Student's t, because three seeds say less about their scatter than a normal quantile assumes. In simulations with the
scatter of docs/results/rare_success it holds the truth in 95 to 97 of 100 cases, at 3 and 5 seeds and 200 questions
each; where seeds do not differ at all, in up to 98.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit

from mentor.evaluation.statistics import wilson_interval

ALPHA = 0.05
SMALLEST_P = 1e-12

Matrix = NDArray[np.float64]
Splits = Sequence[Matrix]
"""Scores of one method, a (seeds, questions) matrix for each split. Splits weigh the same, whatever their size."""


@dataclass(frozen=True)
class VariancePart:
    """A part of the variance of a mean, and the degrees of freedom it was estimated with."""

    variance: float
    df: float


@dataclass(frozen=True)
class Estimate:
    """A mean and the independent parts of its variance."""

    mean: float
    parts: tuple[VariancePart, ...]

    def half_width(self, alpha: float = ALPHA) -> float:
        """Return how far the interval of level 1 - alpha reaches to either side of the mean."""
        return math.sqrt(sum(stdtrit(part.df, alpha / 2) ** 2 * part.variance for part in self.parts))

    def p_value(self) -> float:
        """Return the smallest alpha whose interval leaves out 0, and at least SMALLEST_P: two-sided, as the t test."""
        if self.half_width(SMALLEST_P) <= abs(self.mean):
            return 1.0 if self.mean == 0 else SMALLEST_P
        return math.exp(brentq(lambda x: self.half_width(math.exp(x)) - abs(self.mean), math.log(SMALLEST_P), 0.0))


def estimate(first: Splits, second: Splits | None = None, *, over_seeds: bool, extra: bool = False) -> Estimate:
    """Estimate the mean score of `first`, or the mean of first - second, whose seeds are independent then.

    over_seeds: a method with several rows stands for all its seeds; one with a single row for itself. Without it every
    row stands for itself and the questions alone are a sample. extra: estimate what the questions contribute as if
    `first` had gained one more answer and lost one (Bonett and Price 2012), so that it is never 0. Splits of one
    question need it.
    """
    groups = [(1.0, first)] if second is None else [(1.0, first), (-1.0, second)]
    means = [sign * np.mean([split.mean(axis=1) for split in splits], axis=0) for sign, splits in groups]
    parts = [
        VariancePart(float(own.var(ddof=1)) / len(own), len(own) - 1) for own in means if over_seeds and len(own) > 1
    ]
    added = 2 if extra else 0
    variances = [
        _shared([(sign, splits[place]) for sign, splits in groups], over_seeds, extra) / (first[place].shape[1] + added)
        for place in range(len(first))
    ]
    df = sum(split.shape[1] + added - 1 for split in first)
    parts.append(VariancePart(max(0.0, sum(variances)) / len(first) ** 2, df))
    return Estimate(float(sum(own.mean() for own in means)), tuple(parts))


def _shared(groups: Sequence[tuple[float, Matrix]], over_seeds: bool, extra: bool) -> float:
    """The variance over questions of the mean of the groups' rows, without what each seed has for itself."""
    rows, weights, labels = [], [], []
    for label, (sign, scores) in enumerate(groups):
        seeds = len(scores)
        if extra:
            value = (1 - label) / seeds  # one more answer of one seed of the first group
            scores = np.hstack([scores, np.tile([value, -value], (seeds, 1))])
        rows.append(scores)
        weights += [sign / seeds] * seeds
        labels += [label] * seeds
    products = np.atleast_2d(np.cov(np.vstack(rows))) * np.outer(weights, weights)
    if not over_seeds:
        return float(products.sum())
    total = 0.0
    for one in range(len(groups)):
        for other in range(len(groups)):
            block = products[np.ix_(np.equal(labels, one), np.equal(labels, other))]
            seeds = len(block)
            if one != other or seeds == 1:
                total += block.sum()
            else:  # the mean over pairs of different seeds; the diagonal is part of the scatter of the seeds
                total += (block.sum() - np.trace(block)) * seeds / (seeds - 1)
    return float(total)


def accuracy_interval(splits: Splits) -> tuple[float, float]:
    """Return the 95 % interval of the mean accuracy over seeds and questions; every split has at least two questions.

    It is made on the scale arcsin(sqrt(share)), of equal variance, and stays between 0 and 1. Where all answers are
    right, or all wrong, it is the Wilson interval that counts each question once.
    """
    return _of_share(estimate(splits, over_seeds=True), sum(split.shape[1] for split in splits))


def accuracy_interval_of_means(accuracies: Sequence[float], n: int) -> tuple[float, float]:
    """Return the interval of `accuracy_interval` where only the accuracy of each of several seeds on n questions is
    known: as if the seeds had all that a question adds in common, which is the widest case."""
    mean, seeds = float(np.mean(accuracies)), len(accuracies)
    of_seeds = VariancePart(float(np.var(accuracies, ddof=1)) / seeds, seeds - 1)
    return _of_share(Estimate(mean, (of_seeds, VariancePart(mean * (1 - mean) / n, n))), n)


def _of_share(found: Estimate, questions: int) -> tuple[float, float]:
    """The interval on the scale arcsin(sqrt(share)), by the delta method, as an interval of the share."""
    half, variance = found.half_width(), found.mean * (1 - found.mean)
    if half == 0 or variance == 0:
        return wilson_interval(found.mean * questions, questions)
    angle, reach = math.asin(math.sqrt(found.mean)), half / (2 * math.sqrt(variance))
    return math.sin(max(0.0, angle - reach)) ** 2, math.sin(min(math.pi / 2, angle + reach)) ** 2
