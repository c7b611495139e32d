"""Whether a rank of this machine has stalled: by its beats and, where libraries work, by the bytes it moves.

Loops call `progress.beat`. Downloading and loading a model, starting an engine, capturing graphs and writing tensors
lie in libraries that call nothing, as does loading pushed weights into an engine of another process. But they read,
write or touch new memory all the time; a rank that is blocked or spins does none of that. Ranks that start wait for
each other inside of libraries (a lock on a download, an engine's first collective), so there one rank's progress is
that of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mentor.runs.status import Status

START, SAVE, PUSH = "start", "save", "push"
PATIENT = 10  # times the limit while a rank starts: a driver or a network may keep it waiting
SIGN_BYTES = 16 * 2**20  # moved within the limit; a rank that waits moved 0.5 MiB in 45 s, with wandb's process 0.8
LOOK_S = 1.0  # between two looks at the bytes
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MINOR, MINOR_OF_CHILDREN, MAJOR, MAJOR_OF_CHILDREN = range(7, 11)
"""Page faults among the fields of /proc/PID/stat after the name (proc_pid_stat(5)); of children that have ended."""

Moved = Callable[[int, bool], int]
"""Bytes moved so far by a process, and by its descendants where the second argument is true."""


@dataclass
class _Rank:
    """at: seconds of the last sign of life. window: seconds of its beginning, and the bytes moved by then; it ends with
    a sign of life or after the limit. looked: when the bytes were counted last."""

    at: float
    beats: int = -1
    phase: str = ""
    window: tuple[float, int] = (0.0, 0)
    looked: float = 0.0


class StallWatch:
    """Watches the ranks of these process ids. limit_s: without a sign of life. now: seconds, as for `look`."""

    def __init__(self, pids: Sequence[int], limit_s: float, now: float, moved: Moved | None = None) -> None:
        self._pids, self._limit_s, self._moved = pids, limit_s, moved or bytes_moved
        self._ranks = [_Rank(now) for _ in pids]

    def look(self, statuses: Sequence[Status], now: float) -> list[tuple[int, float, float]]:
        """Return the ranks that have stalled: index, the limit and the seconds without a sign of life.

        statuses: the newest of every rank.
        """
        for rank, pid, status in zip(self._ranks, self._pids, statuses, strict=True):
            self._see(rank, pid, status, now)
        starting = max((rank.at for rank in self._ranks if rank.phase == START), default=now)
        found = []
        for index, rank in enumerate(self._ranks):
            limit = self._limit_s * (PATIENT if rank.phase == START else 1)
            silent = now - (starting if rank.phase == START else rank.at)
            if silent > limit:
                found.append((index, limit, silent))
        return found

    def _see(self, rank: _Rank, pid: int, status: Status, now: float) -> None:
        entered = status.phase != rank.phase
        if status.beats != rank.beats:
            rank.at = now
        rank.beats, rank.phase = status.beats, status.phase
        if rank.phase not in (START, SAVE, PUSH) or (now < rank.looked + LOOK_S and not entered):
            return
        rank.looked, moved = now, self._moved(pid, rank.phase != SAVE)
        began, before = rank.window
        if moved - before >= SIGN_BYTES and not entered:
            rank.at = now
        elif now - began <= self._limit_s and not entered:
            return
        rank.window = (now, moved)


def bytes_moved(pid: int, descendants: bool) -> int:
    """Count the bytes a process has read and written, those of files it has mapped and memory it has touched included.

    Some count twice, as read by a call and from a disk. A process that has ended counts nothing.
    """
    own = _io_bytes(pid) + _faults(pid, descendants) * PAGE_BYTES
    return own + sum(bytes_moved(child, True) for child in _children(pid)) if descendants else own


def _io_bytes(pid: int) -> int:
    """Sum up proc_pid_io(5): rchar and wchar by calls, read_bytes and write_bytes also before a call returns."""
    counts = dict(line.split(": ") for line in _text(f"/proc/{pid}/io").splitlines())
    return sum(int(counts.get(name, 0)) for name in ("rchar", "wchar", "read_bytes", "write_bytes"))


def _faults(pid: int, descendants: bool) -> int:
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    wanted = (MINOR, MAJOR, *((MINOR_OF_CHILDREN, MAJOR_OF_CHILDREN) if descendants else ()))
    return sum(int(fields[place]) for place in wanted) if fields else 0


def _children(pid: int) -> list[int]:
    folder = Path(f"/proc/{pid}/task")
    threads = list(folder.iterdir()) if folder.is_dir() else []
    return [int(child) for thread in threads for child in _text(str(thread / "children")).split()]


def _text(path: str) -> str:
    """Read a file of /proc; empty for a process that has ended or is another user's."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
