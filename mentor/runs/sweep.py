"""The points of a multirun: what each is called, what it has to do, and which steps of pipelines they share.

A point has a folder of its own, outputs/<run>/sweeps/<id>/<point>/. It reads the run's earlier stages and writes only
there. Pipelines would each make the same base, teacher set and SFT model: those are made once, in the run's own
folders, and linked into the points.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mentor.config import Config, dump, load
from mentor.errors import RunFolderError
from mentor.runs.folder import run_root, stage_folder, stored_config
from mentor.runs.identity import config_hash, identity
from mentor.runs.manifest import Point, Status, record
from mentor.runs.provenance import Headline

MAX_NAME = 120
SWEEPS = "sweeps"
SHARED_STAGES = ("rollout", "pretrain", "sft")


@dataclass(frozen=True)
class PointJob:
    """One point of a sweep, composed: what its process has to do.

    name: from what it sets differently, `reward.weights.tool=0.1,seed=0`. steps: the config of its stage, or of every
    step of its pipeline. shared: folders of the run that hold what the point does not make itself.
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
        """In the sweep's manifest."""
        record(self.sweep_folder, Point(self.hash, self.name, self.overrides, status, headline, error))

    def link_shared(self) -> None:
        """Make what is shared readable in the point's own folder."""
        for name in self.shared:
            link = self.folder / name
            if link.is_symlink():
                continue
            if link.exists():
                raise RunFolderError(f"{link} is in the way of the {name} that the points share: remove it")
            link.symlink_to((self.root / name).resolve(), target_is_directory=True)


@dataclass(frozen=True)
class Outcome:
    """What became of a point. code: as the command's exit code. error: one line. ran: False where it was done."""

    code: int
    headline: Headline | None = None
    error: str | None = None
    ran: bool = True


def point_job(
    sweep_id: str, name: str, overrides: Mapping[str, Any], config: Config, steps: Sequence[Config] | None
) -> PointJob:
    """steps: of a pipeline, else None."""
    root, done = run_root(config), [config] if steps is None else list(steps)
    hashed = config_hash({"point": name, "steps": [identity(dump(step)) for step in done]})
    return PointJob(name, hashed, root / SWEEPS / sweep_id, root, overrides, done, steps is not None)


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


@dataclass
class Sharing:
    """steps: to be made once, by the run's folder they are made in. differing: stages that points make themselves."""

    steps: dict[Path, Config] = field(default_factory=dict)
    differing: set[str] = field(default_factory=set)


def find_shared(points: Iterable[PointJob]) -> Sharing:
    """The rollout, pretraining and SFT steps that all pipelines which have them agree on.

    One is not shared when the run holds another of that name, nor an SFT whose base or teacher set is not.
    """
    pipelines = [point for point in points if point.pipeline]
    wanted: dict[Path, dict[str, Config]] = {}
    for point in pipelines:
        for step in _shareable(point):
            wanted.setdefault(_made_in(point, step), {})[config_hash(identity(dump(step)))] = step
    single = {path: steps for path, steps in wanted.items() if len(steps) == 1 and not _other(path, steps)}
    agreed = {path: step for path, steps in single.items() for step in steps.values()}
    for point in pipelines:
        steps = [(_made_in(point, step), step) for step in _shareable(point)]
        if any(path not in agreed and step.stage.name != "sft" for path, step in steps):
            for path, step in steps:
                if step.stage.name == "sft":
                    agreed.pop(path, None)
    differing = {step.stage.name for path in wanted.keys() - agreed for step in wanted[path].values()}
    return Sharing(agreed, differing)


def without_shared(point: PointJob, sharing: Sharing) -> PointJob:
    """The point with the steps left that it makes itself."""
    if not point.pipeline:
        return point
    shared = [step for step in _shareable(point) if _made_in(point, step) in sharing.steps]
    left = [step for step in point.steps if step not in shared]
    return replace(point, steps=left, shared=[stage_folder(step) for step in shared])


def _shareable(point: PointJob) -> list[Config]:
    return [step for step in point.steps if step.stage.name in SHARED_STAGES]


def _made_in(point: PointJob, step: Config) -> Path:
    return point.root / stage_folder(step)


def _other(path: Path, hashes: Iterable[str]) -> bool:
    """Whether the run's folder holds the result of another config, whatever the files it was made from."""
    stored = stored_config(path)
    if stored is None:
        return False
    return config_hash(identity({key: value for key, value in stored.items() if key != "upstream"})) not in hashes
