"""metrics.jsonl: one object a line, `{"step": ..., "time": unix seconds, "area/name": number or null, ...}`.

A step has one line, and where it was evaluated a second one with the metrics of that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mentor.jsonl import JsonlWriter, roll_back

PHASE = re.compile("time/[^/]+")
"""The keys of what a phase took, and not those of its parts, which have another slash."""
EVAL_SECONDS = "time/eval_s"
"""What an evaluation took, which every line of one has."""


def is_evaluation(row: Mapping[str, Any]) -> bool:
    """Return whether a line is that of an evaluation, and not that of a step."""
    return EVAL_SECONDS in row


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
