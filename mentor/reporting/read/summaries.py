"""Read the summary of one stage folder, and note what a folder lacks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mentor.runs.provenance import SUMMARY_NAME, read_summary


def stage_summary(folder: Path, root: Path, missing: list[str]) -> dict[str, Any] | None:
    """Read the folder's summary.json; note in `missing` that it is absent or that the stage is unfinished."""
    name = folder.relative_to(root).as_posix()
    summary = finite(read_summary(folder))
    if summary is None:
        missing.append(f"{name}/{SUMMARY_NAME}: the stage wrote no summary")
    elif summary.get("status") != "done":
        missing.append(f"{name}: the stage is not done (status: {summary.get('status') or 'unknown'})")
    return summary


def look_for(path: Path, root: Path, missing: list[str]) -> None:
    """Note in `missing` that a file of trajectories is not there."""
    if not path.is_file():
        missing.append(f"{path.relative_to(root).as_posix()}: no trajectories to look at")


def finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON cannot hold, by None at any depth."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return value
