"""How far one of several processes is, in a small file that its parent reads: phase, progress, stack, and its end.

A thread of the process writes it every half second, so that the parent knows where a process was that was killed or
stands still.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mentor import progress
from mentor.files import write_file

VARIABLE = "MENTOR_STATUS"  # the file of this process
EVERY_S = 0.5


@dataclass(frozen=True)
class Status:
    """stack: of the main thread, the innermost call last. failed_at: unix seconds, with what the process had to say."""

    phase: str = "start"
    beats: int = 0
    stack: str = ""
    failed_at: float | None = None
    report: str = ""


class StatusWriter:
    """Writes this process's status from a thread of its own until the process ends."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._main = threading.main_thread().ident
        self._last = Status()
        threading.Thread(target=self._run, name="status", daemon=True).start()

    @classmethod
    def of_this_process(cls) -> StatusWriter | None:
        """None in a process that is alone."""
        path = os.environ.get(VARIABLE)
        return None if path is None else cls(Path(path))

    def failed(self, report: str) -> None:
        """report: what would go to stderr were this process alone; the parent shows that of the one to blame."""
        self._write(replace(self._now(), failed_at=time.time(), report=report))

    def _run(self) -> None:
        while True:
            self._write(self._now())
            time.sleep(EVERY_S)

    def _now(self) -> Status:
        phase, beats = progress.position()
        frame = sys._current_frames().get(self._main or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        return Status(phase, beats, stack)

    def _write(self, status: Status) -> None:
        with self._lock:
            if self._last.failed_at is not None or not self._path.parent.is_dir():
                return  # the end is said; or the parent, which owns the folder, has gone
            self._last = status
            write_file(self._path, json.dumps(asdict(status)), durable=False)


def read_status(path: Path) -> Status:
    """The newest status; that of a process that has just begun where there is none yet."""
    try:
        return Status(**json.loads(path.read_text()))
    except FileNotFoundError:
        return Status()
