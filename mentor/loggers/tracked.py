"""The run that a tracker shows: its names, folder and configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class TrackedRun:
    """folder: the stage's. project, group, name: what the tracker calls the project, the experiment and the run.

    config: what is stored with it, nested.
    """

    folder: Path
    project: str = "mentor"
    name: str = ""
    group: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def own_name(self) -> str:
        """The name, or the folder's where none was given."""
        return self.name or self.folder.name
