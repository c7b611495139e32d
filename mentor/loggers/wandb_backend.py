"""W&B, offline by default: files in the stage's folder, nothing sent. A resumed stage appends under the same run id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import wandb

from mentor.loggers.tracked import TrackedRun


class WandbBackend:
    """`mode` is offline or online. The id is kept in `<folder>/wandb/run_id`."""

    def __init__(self, run: TrackedRun, mode: str) -> None:
        self._run = wandb.init(
            mode="online" if mode == "online" else "offline",
            dir=str(run.folder),
            project=run.project,
            name=run.name or None,
            group=run.group or None,
            id=_run_id(run.folder),
            resume="allow",
            config=dict(run.config),
            settings=wandb.Settings(
                silent=True, console="off", x_disable_stats=True, save_code=False, disable_git=True
            ),
        )

    def log(self, step: int, record: Mapping[str, float | None]) -> None:
        self._run.log(dict(record), step=step)

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=1 if failed else 0)


def _run_id(folder: Path) -> str:
    path = folder / "wandb" / "run_id"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(uuid.uuid4().hex[:12])
    return path.read_text().strip()
