"""Give the terminal to a child, as a shell does for the command in its foreground, and take it back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def foreground(pid: int) -> Iterator[None]:
    """Make the process group of a child the terminal's while the context is open: it reads the keys, and gets Ctrl-C.

    Without a terminal, or in a background job, nothing is changed. pid: the leader of its group.
    """
    terminal = _own_terminal()
    if terminal is None:
        yield
        return
    ours = os.tcgetpgrp(terminal)
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it stops who changes it from behind
    try:
        _give(terminal, pid)
        os.kill(pid, signal.SIGCONT)  # where it has read too early
        yield
    finally:
        _give(terminal, ours)
        signal.signal(signal.SIGTTOU, before)


def _own_terminal() -> int | None:
    """The descriptor of the terminal that this process reads, where its process group has it."""
    try:
        terminal = sys.stdin.fileno()
        return terminal if os.tcgetpgrp(terminal) == os.getpgrp() else None
    except (AttributeError, OSError, ValueError):  # no stdin, or none that is a terminal
        return None


def _give(terminal: int, group: int) -> None:
    try:
        os.tcsetpgrp(terminal, group)
    except (ProcessLookupError, PermissionError):  # the child has ended
        return
