"""Models that differ in their seed alone are one method; methods are compared on the tasks that they both answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from mentor.evaluation.hierarchical import ALPHA, Matrix, accuracy_interval, accuracy_interval_of_means
from mentor.evaluation.paired import Difference, holm_factors, paired_test
from mentor.evaluation.statistics import wilson_interval
from mentor.reporting.read.lineage import made_by
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import EvalResult, MethodResult, Pair, Report, StageRecord
from mentor.reporting.read.task_scores import TaskKey

BETTER, WORSE = "better", "worse"  # over seeds
BETTER_HERE, WORSE_HERE = "better here", "worse here"  # of these models
NOT_SIGNIFICANT = "not significant"
OPPOSITE = {BETTER: WORSE, WORSE: BETTER, BETTER_HERE: WORSE_HERE, WORSE_HERE: BETTER_HERE}

Scores = Mapping[tuple[str, str, str, str], Mapping[TaskKey, float]]
"""Share of correct answers by task, by model, benchmark, split and setting."""
SEPARATOR = " · "  # between the configuration of a sweep and the name of a model or method
SEEDED = re.compile(r"(.+)-s(\d+)(-step-\d+)?")


def configuration_of(name: str) -> str:
    """Return the configuration of a sweep that a model or method belongs to; empty outside of sweeps."""
    return name.rpartition(SEPARATOR)[0]


def own_name(name: str) -> str:
    """Return the name of a model or method without its configuration."""
    return name.rpartition(SEPARATOR)[2]


def method_of(folder: str, trained: set[str]) -> str:
    """Strip `-s<seed>` from the name of a folder that a stage of the run made, or of a checkpoint in it; any other name
    is a method by itself."""
    found = SEEDED.fullmatch(folder)
    return found[1] + (found[3] or "") if found and made_by(folder) in trained else folder


def seed_of(folder: str, trained: set[str]) -> int | None:
    """Return the training seed in the name of a model; None for one that no stage of the run made."""
    found = SEEDED.fullmatch(folder)
    return int(found[2]) if found and made_by(folder) in trained else None


def trained_folders(report: Report) -> set[str]:
    """List the folders whose `-s<seed>` is a training seed."""
    return {record.folder for record in report.stages}


def method_results(results: Sequence[EvalResult], stages: Sequence[StageRecord], scores: Scores) -> list[MethodResult]:
    """Average the results of each method, benchmark, split and setting; rows without an accuracy drop out."""
    trained = {record.folder for record in stages}
    groups: dict[tuple[str, str, str, str], list[EvalResult]] = {}
    for row in results:
        if row.accuracy is not None:
            key = (method_of(row.model, trained), row.benchmark, row.split, row.setting)
            groups.setdefault(key, []).append(row)
    return [_method_result(method, rows, trained, scores) for (method, *_), rows in groups.items()]


def _method_result(method: str, rows: Sequence[EvalResult], trained: set[str], scores: Scores) -> MethodResult:
    rows = sorted(rows, key=lambda row: seed_of(row.model, trained) or 0)
    first, n = rows[0], min(row.n for row in rows)
    accuracies = [row.accuracy for row in rows if row.accuracy is not None]
    bases = distinct(method_of(row.base, trained) for row in rows if row.base is not None)
    found = MethodResult(
        method=method,
        benchmark=first.benchmark,
        split=first.split,
        domain=first.domain,
        setting=first.setting,
        n=n,
        models=[row.model for row in rows],
        seeds=[seed_of(row.model, trained) for row in rows],
        folders=[row.folder for row in rows],
        accuracy=float(np.mean(accuracies)),
        low=0.0,
        high=1.0,
        by_seed=accuracies,
        base=bases[0] if len(bases) == 1 else None,
    )
    if len(rows) == 1 and first.low is not None and first.high is not None:
        return replace(found, low=first.low, high=first.high)
    low, high = interval_of(found, [found], scores)
    return replace(found, low=low, high=high)


def interval_of(mean: MethodResult, splits: Sequence[MethodResult], scores: Scores) -> tuple[float, float]:
    """Return the 95 % interval of a method's mean accuracy over splits that all its models answered."""
    matrices = [matrix for m in splits if (matrix := score_matrices([m], scores)) is not None]
    if len(matrices) == len(splits) and all(own[0].shape[1] > 1 for own in matrices):
        return accuracy_interval([own[0] for own in matrices])
    if len(mean.by_seed) > 1:
        return accuracy_interval_of_means(mean.by_seed, mean.n)
    return wilson_interval(mean.accuracy * mean.n, mean.n)


def score_matrices(methods: Sequence[MethodResult], scores: Scores) -> list[Matrix] | None:
    """Return of each method the (seeds, tasks) scores on one split, of the tasks that all of them have a verdict on.

    None where there is no such task.
    """
    tables = [[scores.get((model, m.benchmark, m.split, m.setting), {}) for model in m.models] for m in methods]
    common = set.intersection(*(set(own) for table in tables for own in table))
    tasks = sorted(common)
    return [np.array([[own[task] for task in tasks] for own in table]) for table in tables] if tasks else None


def compare(methods: Sequence[MethodResult], scores: Scores) -> list[Pair]:
    """Test every two methods of one configuration on every split that both answered.

    The comparisons of one configuration, domain and setting are one family. The first of a pair is the one that comes
    later in `methods`, so that a trained one is compared with its base and not the other way round.
    """
    pairs: list[Pair] = []
    for key in distinct((configuration_of(m.method), m.domain, m.setting) for m in methods):
        family = [m for m in methods if (configuration_of(m.method), m.domain, m.setting) == key]
        columns = distinct((m.benchmark, m.split) for m in family)
        twos = [
            (later, earlier)
            for column in columns
            for earlier, later in combinations([m for m in family if (m.benchmark, m.split) == column], 2)
        ]
        tested = [(later, earlier, difference_of([(later, earlier)], scores)) for later, earlier in twos]
        pairs += adjusted_pairs([(later, earlier, test) for later, earlier, test in tested if test is not None])
    return pairs


def difference_of(splits: Sequence[tuple[MethodResult, MethodResult]], scores: Scores) -> Difference | None:
    """Test two methods over one or more splits; None where they have no task in common on one of them."""
    matrices = [found for pair in splits if (found := score_matrices(pair, scores)) is not None]
    if len(matrices) < len(splits):
        return None
    first, second = splits[0]
    return paired_test(
        [own for own, _ in matrices],
        [own for _, own in matrices],
        matched=first.seeds == second.seeds,
        fixed=(first.base == first.method, second.base == second.method),
    )


def adjusted_pairs(tests: Sequence[tuple[MethodResult, MethodResult, Difference]]) -> list[Pair]:
    """Adjust the tests of one family by Holm's method, p values and intervals alike, and conclude."""
    widest = [test.p_value(test.widest) for _, _, test in tests]
    here = [test.p_value(test.here) for _, _, test in tests]
    rows = zip(tests, widest, holm_factors(widest), here, holm_factors(here), strict=True)
    return [_pair(*tested, p, factor, min(1.0, p_here * other)) for tested, p, factor, p_here, other in rows]


def _pair(
    first: MethodResult, second: MethodResult, test: Difference, p: float, factor: float, p_here_holm: float
) -> Pair:
    low, high = test.interval(test.widest)
    low_holm, high_holm = test.interval(test.widest, ALPHA / factor)
    over_seeds, p_holm = test.over_seeds is not None, min(1.0, p * factor)
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
        by_seed=list(test.by_seed),
        over_seeds=over_seeds,
        low=low,
        high=high,
        p=p,
        low_holm=low_holm,
        high_holm=high_holm,
        p_holm=p_holm,
        p_here_holm=p_here_holm,
        conclusion=conclusion(test, p_holm if over_seeds else 1.0, p_here_holm),
        folders=[*first.folders, *second.folders],
    )


def conclusion(test: Difference, p_over_seeds: float, p_here: float) -> str:
    """Name the result for the first method of the pair, given its adjusted p values; see `Pair`."""
    if p_over_seeds < ALPHA:
        return BETTER if test.difference > 0 else WORSE
    if p_here < ALPHA and (min(test.by_seed) > 0 or max(test.by_seed) < 0):
        return BETTER_HERE if test.difference > 0 else WORSE_HERE
    return NOT_SIGNIFICANT


def against_base(methods: Sequence[MethodResult], pairs: Sequence[Pair]) -> list[MethodResult]:
    """Add to each method the conclusion of its comparison with its base."""
    found = {(p.first, p.second, p.benchmark, p.split, p.setting): p.conclusion for p in pairs}
    compared = []
    for m in methods:
        where = (m.benchmark, m.split, m.setting)
        found_there = found.get((m.method, m.base or "", *where))
        if found_there is None and (turned := found.get((m.base or "", m.method, *where))):
            found_there = OPPOSITE.get(turned, turned)
        compared.append(replace(m, against_base=found_there))
    return compared
