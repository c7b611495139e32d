"""Read the summary of one stage folder, and note what a folder lacks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mentor.runs.provenance import SUMMARY_NAME, read_summary


def stage_summary(folder: Path, root: Path, missing: list[str]) -> dict[str, Any] | None:
    """The folder's summary.json; what is absent or unfinished is noted in `missing`."""
    name = folder.relative_to(root).as_posix()
    summary = finite(read_summary(folder))
    if summary is None:
        missing.append(f"{name}/{SUMMARY_NAME}: the stage wrote no summary")
    elif summary.get("status") != "done":
        missing.append(f"{name}: the stage is not done (status: {summary.get('status') or 'unknown'})")
    return summary


def look_for(path: Path, root: Path, missing: list[str]) -> None:
    """Notes in `missing` that a file of trajectories is not there."""
    if not path.is_file():
        missing.append(f"{path.relative_to(root).as_posix()}: no trajectories to look at")


def finite(value: Any) -> Any:
    """The same value with None for NaN and the infinities, which JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return value
