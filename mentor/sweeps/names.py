"""Names of a sweep and of its points: folder names, and what trackers show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

MAX_NAME = 120
SWEEPS = "sweeps"


def sweep_id(overrides: Sequence[str]) -> str:
    """Hash the overrides of a command, in any order, into 8 hexadecimal digits."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]


def point_name(swept: str, number: int) -> str:
    """Make a folder name of `key=value,key=value`; a name that had to be changed or cut ends with a hash."""
    if not swept:
        return f"point-{number}"
    name = re.sub(r"[^A-Za-z0-9._=,+-]", "_", swept)[:MAX_NAME]
    return name if name == swept else f"{name}-{hashlib.sha256(swept.encode()).hexdigest()[:6]}"


def tracker_names(folder: Path, run: str) -> tuple[str, str]:
    """Return what trackers call a stage and its group: the run, or the sweep that the point belongs to."""
    *_, above, sweep_id, point, stage = ("", "", "", *folder.parts)
    return (f"{point} {stage}", f"{run} {SWEEPS}/{sweep_id}") if above == SWEEPS else (stage, run)
