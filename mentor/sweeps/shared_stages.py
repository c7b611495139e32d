"""The stages that the pipelines of a sweep share: made once, in the run's own folders, and linked into the points.

Without this, each pipeline would make the same base, teacher set and SFT model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mentor.config import Config, dump
from mentor.runs.folder import stage_folder, stored_config
from mentor.runs.identity import config_hash, identity
from mentor.sweeps.job import PointJob

SHARED_STAGES = ("rollout", "pretrain", "sft")


@dataclass
class SharedStages:
    """steps: made once, by their folder in the run. differing: stages that each point makes itself."""

    steps: dict[Path, Config] = field(default_factory=dict)
    differing: set[str] = field(default_factory=set)


def find_shared(points: Iterable[PointJob]) -> SharedStages:
    """Find the rollout, pretraining and SFT steps with one configuration in all pipelines that have them.

    A step is not shared if the run holds a result of another configuration at its folder, nor is an SFT step whose base
    or teacher set is not shared. What one pipeline alone has is left to it, so that it does not keep the others
    waiting, unless the run holds it already.
    """
    pipelines = [point for point in points if point.pipeline]
    wanted: dict[Path, dict[str, Config]] = {}
    pipelines_with = Counter[Path]()
    for point in pipelines:
        for step in _shareable(point):
            wanted.setdefault(_made_in(point, step), {})[config_hash(identity(dump(step)))] = step
            pipelines_with[_made_in(point, step)] += 1
    single = {path: steps for path, steps in wanted.items() if len(steps) == 1 and not _other(path, steps)}
    agreed = {path: step for path, steps in single.items() for step in steps.values()}
    for point in pipelines:
        steps = [(_made_in(point, step), step) for step in _shareable(point)]
        if any(path not in agreed and step.stage.name != "sft" for path, step in steps):
            for path, step in steps:
                if step.stage.name == "sft":
                    agreed.pop(path, None)
    differing = {step.stage.name for path in wanted.keys() - agreed for step in wanted[path].values()}
    several = {path: step for path, step in agreed.items() if pipelines_with[path] > 1 or stored_config(path)}
    return SharedStages(several, differing)


def without_shared(point: PointJob, shared: SharedStages) -> PointJob:
    """Return the point without its shared steps, which it reads through links instead."""
    if not point.pipeline:
        return point
    linked = [step for step in _shareable(point) if _made_in(point, step) in shared.steps]
    left = [step for step in point.steps if step not in linked]
    return replace(point, steps=left, shared=[stage_folder(step) for step in linked])


def _shareable(point: PointJob) -> list[Config]:
    return [step for step in point.steps if step.stage.name in SHARED_STAGES]


def _made_in(point: PointJob, step: Config) -> Path:
    return point.root / stage_folder(step)


def _other(path: Path, hashes: Iterable[str]) -> bool:
    """Return whether the run's folder holds the result of another config, input files left aside."""
    stored = stored_config(path)
    if stored is None:
        return False
    return config_hash(identity({key: value for key, value in stored.items() if key != "upstream"})) not in hashes
