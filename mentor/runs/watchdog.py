"""End a process with the one that started it, however that one ended.

The parent keeps one end of a pipe open and hands the other to its children, which see it close.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LAST_WORDS_S = 60  # from SIGTERM to SIGKILL where the parent has gone


@contextmanager
def pipe_to_children() -> Iterator[int]:
    """Open the pipe that children watch; yields the read end that they inherit. Closed when this process ends, too."""
    watched, ours = os.pipe()
    try:
        yield watched
    finally:
        os.close(watched)
        os.close(ours)


def exit_with_parent(fd: int) -> None:
    """Send this process SIGTERM when its parent has ended, then SIGKILL after LAST_WORDS_S.

    fd: read end of the parent's `pipe_to_children`.
    """
    os.set_inheritable(fd, False)

    def watch() -> None:
        os.read(fd, 1)  # returns when the parent's end is closed: nothing is ever written
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS_S)
        os.kill(os.getpid(), signal.SIGKILL)  # Python handles no signal while it waits in a call

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
