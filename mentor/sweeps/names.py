"""Names of a sweep and of its points: folder names, and what W&B shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

MAX_NAME = 120
SWEEPS = "sweeps"


def sweep_id(overrides: Sequence[str]) -> str:
    """8 hexadecimal digits, the same for the same command whatever the order of its overrides."""
    return hashlib.sha256("\n".join(sorted(overrides)).encode()).hexdigest()[:8]


def point_name(swept: str, number: int) -> str:
    """A folder name for `key=value,key=value`; what a folder name cannot hold is replaced and told apart by a hash."""
    if not swept:
        return f"point-{number}"
    name = re.sub(r"[^A-Za-z0-9._=,+-]", "_", swept)[:MAX_NAME]
    return name if name == swept else f"{name}-{hashlib.sha256(swept.encode()).hexdigest()[:6]}"


def wandb_names(folder: Path, run: str) -> tuple[str, str]:
    """What W&B calls a stage and the group it belongs to: its run, or the sweep it is in a point of."""
    *_, above, sweep_id, point, stage = ("", "", "", *folder.parts)
    return (f"{point} {stage}", f"{run} {SWEEPS}/{sweep_id}") if above == SWEEPS else (stage, run)
