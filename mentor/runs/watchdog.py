"""A process that does not outlive the one that started it, however that one ended."""

from __future__ import annotations

import os
import signal
import threading
import time

LAST_WORDS_S = 60  # from SIGTERM to SIGKILL where the parent has gone


def exit_with_parent(fd: int) -> None:
    """Stop as by SIGTERM when the parent is gone, however it ended: nobody would be left to wait for this process.

    fd: read end of a pipe whose other end only the parent has open.
    """
    os.set_inheritable(fd, False)

    def watch() -> None:
        os.read(fd, 1)  # nothing is ever written: it returns when the parent's end is closed
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_WORDS_S)
        os.kill(os.getpid(), signal.SIGKILL)  # it waits for another process and does not hear signals

    threading.Thread(target=watch, name="parent", daemon=True).start()
