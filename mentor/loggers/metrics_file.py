"""metrics.jsonl: one object a line, `{"step": ..., "time": unix seconds, "area/name": number, ...}`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from mentor.jsonl import JsonlWriter, roll_back


class MetricsFile:
    """Appends; the file appears with the first record. A number that is not finite is written as null."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: JsonlWriter | None = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._writer is None:
            self._writer = JsonlWriter(self.path)
        shown = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        self._writer.write({"step": step, "time": round(time.time(), 3), **shown})

    def roll_back(self, step: int) -> int:
        """Drop a half-written last line and move the records after `step` to `<name>.rolled_back.jsonl`."""
        self.close()
        return roll_back(self.path, step)

    def close(self, failed: bool = False) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
