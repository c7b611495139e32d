"""A run and the points of its sweeps as one: seeds are those of a method, other swept values name a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mentor.reporting.read.evaluations import read_evaluations
from mentor.reporting.read.lineage import origins, with_base
from mentor.reporting.read.methods import SEPARATOR
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Curve, EvalResult, Origin, StageRecord, Sweep, SweepPoint
from mentor.reporting.read.stages import read_stages
from mentor.reporting.read.sweeps import SEED
from mentor.reporting.read.task_scores import TaskKey

IN_NAME = ("reward", "name")  # keys whose value is in the name of the folder that they make
MAX_CONFIGURATIONS = 12  # of a sweep that is shown as methods; one over more is a search, and has its own tables
POINT_METRICS = ("reward/mean", "reward/correct", "reward/match", "rollout/tokens")  # curves that are kept of a point


@dataclass
class PooledRun:
    """What the stages and evaluations of one folder hold, under names that are unique in the report."""

    stages: list[StageRecord] = field(default_factory=list)
    evaluations: list[StageRecord] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    results: list[EvalResult] = field(default_factory=list)
    scores: dict[tuple[str, str, str, str], Mapping[TaskKey, float]] = field(default_factory=dict)
    origins: dict[str, list[Origin]] = field(default_factory=dict)


def read_source(root: Path, missing: list[str]) -> PooledRun:
    """Read the stage folders and evaluations of a run folder, or of a point of a sweep."""
    stages, curves = read_stages(root, missing)
    results, evaluations, scores = read_evaluations(root, missing)
    results = with_base(results, stages)
    return PooledRun(stages, evaluations, curves, results, dict(scores), origins(results, stages))


def add_points(run: PooledRun, sweeps: Sequence[Sweep], root: Path, missing: list[str]) -> list[Sweep]:
    """Add to the run what the evaluated points of its sweeps hold; return the sweeps with the results of each point.

    What two points share, such as a base, is taken once. The points of a search are not added.
    """
    several = bool(run.results) or sum(bool(_evaluated(sweep, root)) for sweep in sweeps) > 1
    return [_add_sweep(run, sweep, root, several, missing) for sweep in sweeps]


def _add_sweep(run: PooledRun, sweep: Sweep, root: Path, several: bool, missing: list[str]) -> Sweep:
    evaluated = _evaluated(sweep, root)
    labels = {point.name: configuration(sweep, point.overrides) for point in evaluated}
    points = {point.name: point for point in sweep.points}
    for point in evaluated:
        place, lines = _place(sweep, point), list[str]()
        source = read_source(root / place, lines)
        missing += [f"{place}/{line}" for line in lines]
        points[point.name] = replace(point, results=source.results)
        if len(set(labels.values())) <= MAX_CONFIGURATIONS:
            parts = [sweep.id] * several + [labels[point.name]] * bool(labels[point.name])
            missing += _merge(run, _named(source, f"{' '.join(parts)}{SEPARATOR}" if parts else "", place), place)
    return replace(sweep, points=list(points.values()))


def _evaluated(sweep: Sweep, root: Path) -> list[SweepPoint]:
    return [point for point in sweep.points if (root / _place(sweep, point) / "eval").is_dir()]


def _place(sweep: Sweep, point: SweepPoint) -> str:
    return f"sweeps/{sweep.id}/{point.name}"


def configuration(sweep: Sweep, overrides: Mapping[str, object]) -> str:
    """Name what a point sets beside its seed and the reward: a preset by its name, other values with their key."""
    values = {key: overrides.get(key) for key in sweep.keys if key != SEED and key not in IN_NAME}
    alone = len(values) == 1
    return " ".join(str(v) if alone and "." not in key else f"{key}={v}" for key, v in values.items())


def _named(source: PooledRun, prefix: str, place: str) -> PooledRun:
    """Put the configuration before each name, and the point's place before each folder of an evaluation."""

    def name(own: str) -> str:
        return prefix + own

    return PooledRun(
        stages=[replace(record, folder=name(record.folder)) for record in source.stages],
        evaluations=[replace(record, folder=f"{place}/{record.folder}") for record in source.evaluations],
        curves=[replace(c, folder=name(c.folder)) for c in source.curves if c.metric in POINT_METRICS],
        results=[
            replace(r, model=name(r.model), base=r.base and name(r.base), folder=f"{place}/{r.folder}")
            for r in source.results
        ],
        scores={(name(key[0]), key[1], key[2], key[3]): own for key, own in source.scores.items()},
        origins={
            f"{place}/{folder}": [
                replace(o, folder=f"{place}/{o.folder}" if o.folder.startswith("eval/") else name(o.folder))
                for o in line
            ]
            for folder, line in source.origins.items()
        },
    )


def _merge(run: PooledRun, source: PooledRun, place: str) -> list[str]:
    """Add what the run does not hold yet; return a line for each model that has its name and is another one."""
    hashes = {record.folder: record.config_hash for record in run.stages}
    others = [s.folder for s in source.stages if hashes.get(s.folder, s.config_hash) != s.config_hash]
    shown = {(r.model, r.benchmark, r.split, r.setting): r.accuracy for r in run.results}
    others += [
        r.model
        for r in source.results
        if shown.get((r.model, r.benchmark, r.split, r.setting), r.accuracy) != r.accuracy
    ]
    stages, folders = {s.folder for s in run.stages}, {c.folder for c in run.curves}
    run.stages += [record for record in source.stages if record.folder not in stages]
    run.curves += [curve for curve in source.curves if curve.folder not in folders]
    rows = {(r.model, r.benchmark, r.split, r.setting) for r in run.results}
    added = [r for r in source.results if (r.model, r.benchmark, r.split, r.setting) not in rows]
    used = {r.folder for r in added}
    run.results += added
    run.evaluations += [record for record in source.evaluations if record.folder in used]
    run.scores.update({key: own for key, own in source.scores.items() if key not in run.scores})
    run.origins.update({folder: line for folder, line in source.origins.items() if folder in used})
    return [f"{place}/{name}: another result than the {name} shown, so left out" for name in distinct(others)]
