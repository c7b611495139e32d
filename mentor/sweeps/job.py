"""The work of one point of a sweep, as JSON for its process, and its result.

A point writes only into its folder, outputs/<run>/sweeps/<id>/<point>/, and reads the run's earlier stages. Shared
stages are linked into the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentor.config import Config, dump, load
from mentor.errors import RunFolderError
from mentor.runs.folder import run_root
from mentor.runs.identity import config_hash, identity
from mentor.runs.provenance import Headline
from mentor.sweeps.manifest import ManifestEntry, Status, record
from mentor.sweeps.names import SWEEPS


@dataclass(frozen=True)
class PointJob:
    """One composed point of a sweep.

    name: from the keys that differ between points, `reward.weights.tool=0.1,seed=0`. steps: the config of its stage,
    or of every step of its pipeline. shared: folders of the run that the point links instead of making the stages.
    """

    name: str
    hash: str
    sweep_folder: Path
    root: Path
    overrides: Mapping[str, Any]
    steps: Sequence[Config]
    pipeline: bool = False
    shared: Sequence[str] = ()

    def to_json(self) -> str:
        paths = {"sweep_folder": str(self.sweep_folder), "root": str(self.root)}
        return json.dumps({**vars(self), **paths, "steps": [dump(step) for step in self.steps]})

    @classmethod
    def from_json(cls, text: str) -> PointJob:
        values = json.loads(text)
        paths = {key: Path(values[key]) for key in ("sweep_folder", "root")}
        return cls(**{**values, **paths, "steps": [load(step) for step in values["steps"]]})

    @property
    def folder(self) -> Path:
        return self.sweep_folder / self.name

    def note(self, status: Status, headline: Headline | None = None, error: str | None = None) -> None:
        """Append the status of this point to the sweep's manifest."""
        record(self.sweep_folder, ManifestEntry(self.hash, self.name, self.overrides, status, headline, error))

    def link_shared(self) -> None:
        """Link the shared stages into the point's folder."""
        for name in self.shared:
            link = self.folder / name
            if link.is_symlink():
                continue
            if link.exists():
                raise RunFolderError(f"{link} is in the way of the {name} that the points share: remove it")
            link.symlink_to((self.root / name).resolve(), target_is_directory=True)


@dataclass(frozen=True)
class PointResult:
    """The result of a point. code: as the command's exit code. error: one line. ran: False if it was done before."""

    code: int
    headline: Headline | None = None
    error: str | None = None
    ran: bool = True


def point_job(
    sweep_id: str, name: str, overrides: Mapping[str, Any], config: Config, steps: Sequence[Config] | None
) -> PointJob:
    """Build the job of a composed point. steps: of a pipeline, else None."""
    root, done = run_root(config), [config] if steps is None else list(steps)
    hashed = config_hash({"point": name, "steps": [identity(dump(step)) for step in done]})
    return PointJob(name, hashed, root / SWEEPS / sweep_id, root, overrides, done, steps is not None)
