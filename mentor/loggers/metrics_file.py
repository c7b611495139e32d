"""metrics.jsonl: one object a line, `{"step": ..., "time": unix seconds, "area/name": number or null, ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mentor.jsonl import JsonlWriter, roll_back


class MetricsFile:
    """Appends; the file appears with the first record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: JsonlWriter | None = None

    def log(self, step: int, record: Mapping[str, float | None]) -> None:
        if self._writer is None:
            self._writer = JsonlWriter(self.path)
        self._writer.write({"step": step, **record})

    def roll_back(self, step: int) -> int:
        """Drop a half-written last line and move the records after `step` to `<name>.rolled_back.jsonl`."""
        self.close()
        return roll_back(self.path, step)

    def close(self, failed: bool = False) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
