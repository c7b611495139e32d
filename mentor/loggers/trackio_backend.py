"""Trackio, Hugging Face's tracker: a database in the stage's `trackio/` folder.

TRACKIO_DIR names another folder, and TRACKIO_SPACE_ID a Space. A resumed stage continues the run of its name.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

from mentor.loggers.tracked import TrackedRun


class TrackioBackend:
    """Trackio reads TRACKIO_DIR once in a process: all runs of a process share a folder. What it prints is dropped."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("TRACKIO_DIR", str((run.folder / "trackio").resolve()))
        import trackio

        with redirect_stdout(io.StringIO()):
            self._run = trackio.init(
                project=run.project,
                name=run.own_name,
                group=run.group or None,
                config=dict(run.config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def log(self, step: int, record: Mapping[str, Any]) -> None:
        # Trackio keeps `time` to itself.
        values = {key: value for key, value in record.items() if key != "time"}
        self._run.log(values, step=step)

    def close(self, failed: bool) -> None:
        with redirect_stdout(io.StringIO()):
            self._run.finish()
