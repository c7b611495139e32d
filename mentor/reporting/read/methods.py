"""Models that differ in their seed alone are one method; methods are compared on the tasks that they both answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean

import numpy as np

from mentor.evaluation.paired import RESAMPLES, Difference, holm, paired_tests
from mentor.evaluation.statistics import wilson_interval
from mentor.reporting.read.lineage import made_by
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import EvalResult, MethodResult, Pair, Report, StageRecord
from mentor.reporting.read.task_scores import TaskKey

ALPHA = 0.05  # adjusted p values below it are called significant
SHARPNESS = 100  # resamples per comparison of a family, so that the smallest adjusted p value is at most 0.01
NOT_SIGNIFICANT = "not significant"

Scores = Mapping[tuple[str, str, str, str], Mapping[TaskKey, float]]
"""Share of correct answers by task, by model, benchmark, split and setting."""


def method_of(folder: str, trained: set[str]) -> str:
    """Strip `-s<seed>` from the name of a folder that a stage of the run made, or of a checkpoint in it; any other name
    is a method by itself."""
    found = re.fullmatch(r"(.+)-s\d+(-step-\d+)?", folder)
    return found[1] + (found[2] or "") if found and made_by(folder) in trained else folder


def trained_folders(report: Report) -> set[str]:
    """List the folders whose `-s<seed>` is a training seed."""
    return {record.folder for record in report.stages}


def method_results(results: Sequence[EvalResult], stages: Sequence[StageRecord]) -> list[MethodResult]:
    """Average the results of each method, benchmark, split and setting; rows without an accuracy drop out."""
    trained = {record.folder for record in stages}
    groups: dict[tuple[str, str, str, str], list[EvalResult]] = {}
    for row in results:
        if row.accuracy is not None:
            key = (method_of(row.model, trained), row.benchmark, row.split, row.setting)
            groups.setdefault(key, []).append(row)
    return [_method_result(method, rows, trained) for (method, *_), rows in groups.items()]


def _method_result(method: str, rows: Sequence[EvalResult], trained: set[str]) -> MethodResult:
    first, n = rows[0], min(row.n for row in rows)
    accuracies = [row.accuracy for row in rows if row.accuracy is not None]
    mean = fmean(accuracies)
    low, high = (first.low, first.high) if len(rows) == 1 else (None, None)
    if low is None or high is None:
        low, high = wilson_interval(mean * n, n)
    bases = distinct(method_of(row.base, trained) for row in rows if row.base is not None)
    return MethodResult(
        method=method,
        benchmark=first.benchmark,
        split=first.split,
        domain=first.domain,
        setting=first.setting,
        n=n,
        models=[row.model for row in rows],
        folders=[row.folder for row in rows],
        accuracy=mean,
        low=low,
        high=high,
        lowest=min(accuracies),
        highest=max(accuracies),
        base=bases[0] if len(bases) == 1 else None,
    )


def compare(methods: Sequence[MethodResult], scores: Scores) -> tuple[list[Pair], int]:
    """Test every two methods on every split that both answered; also return the resamples of each test.

    The comparisons of one domain and setting are one family. The first of a pair is the one that comes later in
    `methods`, so that a trained one is compared with its base and not the other way round.
    """
    names = distinct(method.method for method in methods)
    families = distinct((method.domain, method.setting) for method in methods)
    size = len(list(combinations(names, 2))) * len(distinct((m.benchmark, m.split) for m in methods))
    resamples = max(RESAMPLES, SHARPNESS * size)
    pairs: list[Pair] = []
    for domain, setting in families:
        family = [m for m in methods if (m.domain, m.setting) == (domain, setting)]
        found = [
            pair
            for column in distinct((m.benchmark, m.split) for m in family)
            for pair in _column_pairs([m for m in family if (m.benchmark, m.split) == column], scores, resamples)
        ]
        adjusted = holm([pair.p for pair in found])
        pairs += [
            replace(pair, p_holm=p, conclusion=conclusion(pair, p)) for pair, p in zip(found, adjusted, strict=True)
        ]
    return pairs, resamples if pairs else 0


def conclusion(pair: Pair, p: float) -> str:
    """Name the result for the first method of the pair, given its adjusted p value."""
    if p >= ALPHA:
        return NOT_SIGNIFICANT
    return "better" if pair.difference > 0 else "worse"


def _column_pairs(methods: Sequence[MethodResult], scores: Scores, resamples: int) -> list[Pair]:
    """All pairs on one split in one setting; those over the same tasks are tested together."""
    tasks = {method.method: _task_scores(method, scores) for method in methods}
    shared: dict[tuple[TaskKey, ...], list[tuple[MethodResult, MethodResult]]] = {}
    for earlier, later in combinations(methods, 2):
        common = tuple(task for task in tasks[later.method] if task in tasks[earlier.method])
        if common:
            shared.setdefault(tuple(sorted(common)), []).append((later, earlier))
    found: dict[tuple[str, str], Pair] = {}
    for common, twos in shared.items():
        values = {
            name: np.array([own[task] for task in common]) for name, own in tasks.items() if own.keys() >= set(common)
        }
        tests = paired_tests([values[first.method] - values[second.method] for first, second in twos], resamples)
        found |= {(a.method, b.method): _pair(a, b, test) for (a, b), test in zip(twos, tests, strict=True)}
    return [found[b.method, a.method] for a, b in combinations(methods, 2) if (b.method, a.method) in found]


def _task_scores(method: MethodResult, scores: Scores) -> dict[TaskKey, float]:
    """Per task the mean over the method's models, of the tasks that all of them have a verdict on."""
    models = [scores.get((model, method.benchmark, method.split, method.setting), {}) for model in method.models]
    return {task: fmean(own[task] for own in models) for task in models[0] if all(task in own for own in models)}


def _pair(first: MethodResult, second: MethodResult, test: Difference) -> Pair:
    return Pair(
        first=first.method,
        second=second.method,
        benchmark=first.benchmark,
        split=first.split,
        domain=first.domain,
        setting=first.setting,
        n=test.n,
        seeds=(len(first.models), len(second.models)),
        difference=test.difference,
        low=test.low,
        high=test.high,
        p=test.p,
        p_holm=test.p,
        conclusion=NOT_SIGNIFICANT,
        folders=[*first.folders, *second.folders],
    )


def against_base(methods: Sequence[MethodResult], pairs: Sequence[Pair]) -> list[MethodResult]:
    """Add to each method the conclusion of its comparison with its base."""
    found = {(p.first, p.second, p.benchmark, p.split, p.setting): p.conclusion for p in pairs}
    opposite = {"better": "worse", "worse": "better", NOT_SIGNIFICANT: NOT_SIGNIFICANT}
    compared = []
    for m in methods:
        where = (m.benchmark, m.split, m.setting)
        found_there = found.get((m.method, m.base or "", *where))
        if found_there is None and (turned := found.get((m.base or "", m.method, *where))):
            found_there = opposite[turned]
        compared.append(replace(m, against_base=found_there))
    return compared
