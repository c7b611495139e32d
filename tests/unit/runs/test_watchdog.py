"""A process ends with the one that started it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from mentor.conf_dir import conf_dir
from mentor.runs import watchdog

CHILD = """
import signal, sys, time
from mentor.runs import watchdog
watchdog.LAST_WORDS_S = 0.2
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
watchdog.exit_with_parent(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("kind", "signum"), [("hears", signal.SIGTERM), ("deaf", signal.SIGKILL)])
def test_a_child_ends_when_its_parents_pipe_closes(kind: str, signum: signal.Signals):
    with watchdog.pipe_to_children() as watched:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(watched), kind],
            stdout=subprocess.PIPE,
            pass_fds=[watched],
            cwd=conf_dir().parent,
        )
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        assert child.poll() is None
    assert child.wait(timeout=20) == -signum
    child.stdout.close()


def test_the_signal_comes_from_a_thread_that_waits_for_the_pipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watchdog, "LAST_WORDS_S", 10**6)  # this process is not killed
    came = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: came.set())
    reading, writing = os.pipe()
    try:
        watchdog.exit_with_parent(reading)
        assert not os.get_inheritable(reading) and not came.is_set()
        os.close(writing)
        assert came.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)
        os.close(reading)


def test_both_ends_are_closed_after_the_block():
    with watchdog.pipe_to_children() as watched:
        os.fstat(watched)
    with pytest.raises(OSError):
        os.fstat(watched)
