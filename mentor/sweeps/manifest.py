"""`manifest.jsonl` of a sweep: lines are appended, and the last line with a point's hash is the state of that point.

A point recorded as running whose folder is not locked was killed; running the sweep again resumes it.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mentor.jsonl import drop_torn_line, read_jsonl, to_line
from mentor.runs.provenance import Headline

MANIFEST_NAME = "manifest.jsonl"

Status = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class ManifestEntry:
    """One line of the manifest.

    hash: of the point's config and name. point: its folder below the sweep's. overrides: what it sets differently from
    the other points, by dotted key. error: one line, of a failed point. time: unix seconds.
    """

    hash: str
    point: str
    overrides: Mapping[str, Any]
    status: Status
    headline: Headline | None = None
    error: str | None = None
    time: float = field(default_factory=time.time)


def record(sweep_folder: Path, point: ManifestEntry) -> None:
    """Append to the manifest. Several processes may do so at the same time: the file is locked meanwhile."""
    sweep_folder.mkdir(parents=True, exist_ok=True)
    path = sweep_folder / MANIFEST_NAME
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        drop_torn_line(path)
        file.write(to_line(asdict(point)).encode())


def read_manifest(sweep_folder: Path) -> dict[str, ManifestEntry]:
    """Read the newest line of every point by its hash, in the order of their first lines; empty without a manifest.

    Raises InputError on an unreadable line other than a half-written last one.
    """
    path = sweep_folder / MANIFEST_NAME
    if not path.is_file():
        return {}
    return {row["hash"]: ManifestEntry(**row) for row in read_jsonl(path, report=lambda _: None)}
