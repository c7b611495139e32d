"""Means over the splits of a domain, and each method's gain over a reference: few comparisons, known before the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mentor.reporting.read.methods import Scores, adjusted_pairs, configuration_of, difference_of, interval_of, own_name
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import MethodResult, Pair

REFERENCE = "rl-sparse"  # the outcome alone: what a process reward must beat
Group = tuple[str, str, str]  # configuration, domain, setting


def domain_means(methods: Sequence[MethodResult], scores: Scores) -> list[MethodResult]:
    """Average each method over the splits of a domain that all methods of its configuration answered with all seeds.

    `n` is the number of questions of these splits together, and every split weighs the same.
    """
    return [_mean(splits, scores) for _, rows in _complete(methods) for splits in rows]


def gains(methods: Sequence[MethodResult], scores: Scores) -> list[Pair]:
    """Compare each method with the reference over the splits of `domain_means`; one family per group of methods.

    The reference is RL with REFERENCE; without it the base.
    """
    pairs: list[Pair] = []
    for _, rows in _complete(methods):
        reference = reference_of([splits[0] for splits in rows])
        against = [splits for splits in rows if splits[0].method == reference]
        tests = []
        for splits in rows:
            if against and splits[0].method != reference:
                test = difference_of(list(zip(splits, against[0], strict=True)), scores)
                if test is not None:
                    tests.append((_mean(splits, scores), _mean(against[0], scores), test))
        pairs += adjusted_pairs(tests)
    return pairs


def reference_of(methods: Sequence[MethodResult]) -> str | None:
    """Name the method that the others of one configuration are compared with."""
    names = [m.method for m in methods]
    sparse = [name for name in names if own_name(name) == REFERENCE]
    bases = [m.method for m in methods if m.base == m.method]
    return next(iter([*sparse, *bases]), None)


def _complete(methods: Sequence[MethodResult]) -> Iterator[tuple[Group, list[list[MethodResult]]]]:
    """Per configuration, domain and setting: of each method its results on the splits that all of them answered."""
    keys = distinct((configuration_of(m.method), m.domain, m.setting) for m in methods)
    for key in keys:
        own = [m for m in methods if (configuration_of(m.method), m.domain, m.setting) == key]
        most = {name: max(len(m.models) for m in own if m.method == name) for name in distinct(m.method for m in own)}
        whole = {(m.method, m.benchmark, m.split): m for m in own if len(m.models) == most[m.method]}
        columns = distinct((m.benchmark, m.split) for m in own)
        shared = [column for column in columns if all((name, *column) in whole for name in most)]
        if shared:
            yield key, [[whole[name, *column] for column in shared] for name in most]


def _mean(splits: Sequence[MethodResult], scores: Scores) -> MethodResult:
    if len(splits) == 1:
        return splits[0]
    by_seed = np.mean([m.by_seed for m in splits], axis=0)
    mean = replace(
        splits[0],
        benchmark="",
        split=f"mean of {len(splits)} splits",
        n=sum(m.n for m in splits),
        folders=distinct(folder for m in splits for folder in m.folders),
        accuracy=float(np.mean(by_seed)),
        by_seed=[float(value) for value in by_seed],
    )
    low, high = interval_of(mean, splits, scores)
    return replace(mean, low=low, high=high)
