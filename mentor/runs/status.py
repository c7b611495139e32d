"""The status file of a rank, read by its parent: phase, progress, stack, and error report.

A thread writes it every half second, so that the parent knows where a rank was that was killed or has stalled.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mentor import progress
from mentor.files import write_file

VARIABLE = "MENTOR_STATUS"  # the file of this process
EVERY_S = 0.5


@dataclass(frozen=True)
class Status:
    """stack: of the main thread, the innermost call last. failed_at: unix seconds. report: its text for stderr."""

    phase: str = "start"
    beats: int = 0
    stack: str = ""
    failed_at: float | None = None
    report: str = ""


class StatusWriter:
    """Write the status of this process from a thread until the process ends."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._main = threading.main_thread().ident
        self._last = Status()
        threading.Thread(target=self._run, name="status", daemon=True).start()

    @classmethod
    def of_this_process(cls) -> StatusWriter | None:
        """Start the writer of this process; None for a process that is not one of several ranks."""
        path = os.environ.get(VARIABLE)
        return None if path is None else cls(Path(path))

    def failed(self, report: str) -> None:
        """Write the last status. report: text for stderr, which the parent prints for the rank that failed first."""
        self._write(failed_at=time.time(), report=report)

    def _run(self) -> None:
        while True:
            self._write()
            time.sleep(EVERY_S)

    def _now(self) -> Status:
        phase, beats = progress.position()
        frame = sys._current_frames().get(self._main or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        return Status(phase, beats, stack)

    def _write(self, **ended: Any) -> None:
        """Write where this process is now, and how it ended. It looks in turn: no older status follows a newer one."""
        with self._lock:
            if self._last.failed_at is not None:
                return
            self._last = replace(self._now(), **ended)
            with suppress(FileNotFoundError):  # who watches has ended and removed the folder
                write_file(self._path, json.dumps(asdict(self._last)), durable=False)


def read_status(path: Path) -> Status:
    """Read the newest status; without a file, that of a rank which has just started."""
    try:
        return Status(**json.loads(path.read_text()))
    except FileNotFoundError:
        return Status()
