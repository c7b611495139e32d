"""The points of a multirun: a folder each below outputs/<run>/sweeps/<id>/, and a manifest of what became of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_NAME = 120


@dataclass(frozen=True)
class Point:
    """One point of a sweep. name: from what it sets differently, `reward.weights.tool=0.1,seed=0`."""

    sweep_id: str
    name: str
    overrides: tuple[str, ...]

    def folder(self, root: Path) -> Path:
        return root / "sweeps" / self.sweep_id / self.name


def sweep_id(overrides: Sequence[str]) -> str:
    """8 hexadecimal digits, the same for the same command whatever the order of its overrides."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]


def point_name(swept: str, number: int) -> str:
    """A folder name for `key=value,key=value`; what a folder name cannot hold is replaced and told apart by a hash."""
    if not swept:
        return f"point-{number}"
    name = re.sub(r"[^A-Za-z0-9._=,+-]", "_", swept)[:MAX_NAME]
    return name if name == swept else f"{name}-{hashlib.sha256(swept.encode()).hexdigest()[:6]}"


def record_point(point: Point, root: Path, status: str, **more: Any) -> None:
    """Append to the sweep's manifest.jsonl; points may run at the same time, in several processes."""
    path = point.folder(root).parent / "manifest.jsonl"
    row = {"point": point.name, "status": status, "overrides": list(point.overrides), **more, "time": time.time()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
