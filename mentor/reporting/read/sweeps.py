"""Sweeps of a run folder: what each point set, its headline, and the points that differ in the seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mentor.jsonl import read_jsonl
from mentor.reporting.read.order import distinct
from mentor.reporting.read.records import Sweep, SweepPoint
from mentor.sweeps.manifest import MANIFEST_NAME, read_manifest

SEED = "seed"


def read_sweeps(root: Path, missing: list[str]) -> list[Sweep]:
    """Read every sweeps/<id>/ that has a manifest; note in `missing` a manifest of an earlier version."""
    found = []
    for path in sorted(root.glob(f"sweeps/*/{MANIFEST_NAME}")):
        if all("hash" in row for row in read_jsonl(path, missing.append)):
            found.append(_sweep(path.parent))
        else:
            missing.append(f"{path.relative_to(root).as_posix()}: written by an earlier version, so not shown")
    return found


def _sweep(folder: Path) -> Sweep:
    points = [
        SweepPoint(
            name=point.point,
            status=point.status,
            overrides=dict(point.overrides),
            headline_name=point.headline["name"] if point.headline else None,
            headline=_finite(point.headline["value"]) if point.headline else None,
            error=point.error,
        )
        for point in read_manifest(folder).values()
    ]
    keys = distinct(key for point in points for key in point.overrides if key != SEED)
    swept = [key for key in keys if len({str(point.overrides.get(key)) for point in points}) > 1]
    return Sweep(folder.name, swept, points)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class Configuration:
    """The points that differ in their seed alone. `values`: of the swept keys. `mean`: of the known headlines."""

    values: tuple[Any, ...]
    points: list[SweepPoint]

    @property
    def headlines(self) -> list[float]:
        return [point.headline for point in self.points if point.status == "done" and point.headline is not None]

    @property
    def mean(self) -> float | None:
        return fmean(self.headlines) if self.headlines else None

    @property
    def failed(self) -> int:
        return sum(point.status == "failed" for point in self.points)


def configurations(sweep: Sweep) -> list[Configuration]:
    """Group the points by the values of the swept keys, in the order in which they started."""
    groups: dict[str, tuple[tuple[Any, ...], list[SweepPoint]]] = {}
    for point in sweep.points:
        values = tuple(point.overrides.get(key) for key in sweep.keys)
        groups.setdefault(repr(values), (values, []))[1].append(point)
    return [Configuration(values, points) for values, points in groups.values()]


def numeric(sweep: Sweep) -> bool:
    """Return whether every swept key has a number at every point, as a figure needs."""
    return bool(sweep.keys) and all(
        _is_number(point.overrides.get(key)) for point in sweep.points for key in sweep.keys
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def headline_names(sweep: Sweep) -> str:
    """Join the names of the points' headlines: one name if all points ran the same stage."""
    names: Sequence[str] = distinct(point.headline_name for point in sweep.points if point.headline_name)
    return ", ".join(names) or "headline"
