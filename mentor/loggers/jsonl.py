"""metrics.jsonl: one object a line, `{"step": ..., "time": unix seconds, "area/name": number, ...}`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class MetricsFile:
    """Appends; the file appears with the first record. A number that is not finite is written as null."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._file is None:
            self._file = self.path.open("a")
        shown = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **shown}) + "\n")
        self._file.flush()

    def roll_back(self, step: int) -> int:
        """Drop a half-written last line and move the records after `step` to `<name>.rolled_back.jsonl`."""
        self.close()
        if not self.path.exists():
            return 0
        kept: list[str] = []
        moved: list[str] = []
        lines = self.path.read_text().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            if not line.endswith("\n") and number == len(lines):
                break
            (kept if json.loads(line)["step"] <= step else moved).append(line)
        if moved:
            with self.path.with_name(f"{self.path.stem}.rolled_back.jsonl").open("a") as file:
                file.writelines(moved)
        partial = self.path.with_name(f"{self.path.name}.partial")
        partial.write_text("".join(kept))
        partial.replace(self.path)
        return len(moved)

    def close(self, failed: bool = False) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
