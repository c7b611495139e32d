"""TensorBoard: event files in the stage's `tensorboard/` folder. A resumed stage adds a file there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from mentor.loggers.tracked import TrackedRun


class TensorboardBackend:
    """A number that is not finite is NaN here."""

    def __init__(self, run: TrackedRun) -> None:
        self._writer = SummaryWriter(log_dir=str(run.folder / "tensorboard"))
        self._writer.add_text("config", f"```\n{json.dumps(run.config, indent=1, default=str)}\n```")

    def log(self, step: int, record: Mapping[str, Any]) -> None:
        for key, value in record.items():
            if key != "time":  # beside every value, in its event
                self._writer.add_scalar(key, math.nan if value is None else value, step, record["time"])

    def close(self, failed: bool) -> None:
        self._writer.close()
