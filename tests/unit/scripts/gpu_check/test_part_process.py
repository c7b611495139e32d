"""A part in its process: what it found is kept however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.gpu_check.measuring import Figure, Remark, Size
from scripts.gpu_check.part_process import run_part
from scripts.gpu_check.parts import Part

SIZE = Size("tiny", 64, (32,), 1, 24)


def finds(size, note):
    note(Figure("first", 1.0, "ms", high=2.0))
    note(Remark(f"of {size.shape}"))
    print("said")


def finds_too_much(size, note):
    note(Figure("second", 3.0, "ms", high=2.0))


def raises(size, note):
    finds(size, note)
    raise ValueError("two\nlines")


def crashes(size, note):
    finds(size, note)
    os.kill(os.getpid(), signal.SIGSEGV)


def hangs(size, note):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(Figure("child", child.pid))
    time.sleep(600)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("check", "status", "reason", "found"),
    [
        (finds, "ok", "", 1),
        (finds_too_much, "off limits", "", 1),
        (raises, "failed", "ValueError: two lines", 1),
        (crashes, "failed", "its process was ended by SIGSEGV", 1),
    ],
)
def test_how_a_part_ends(tmp_path, check, status, reason, found):
    outcome = run_part(Part("p", check, SIZE, 60), tmp_path, 60)
    assert (outcome.status, outcome.reason, len(outcome.figures)) == (status, reason, found)
    assert outcome.good == (status == "ok")
    if check is finds:
        assert outcome.remarks == ["of tiny"] and "said" in (tmp_path / "log.txt").read_text()
    if check is raises:
        assert "Traceback" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_a_part_that_hangs_is_ended_with_the_processes_it_started(tmp_path):
    outcome = run_part(Part("p", hangs, SIZE, 60), tmp_path, 20)
    assert (outcome.status, outcome.reason) == ("failed", "ended after 20 s")
    (child,) = outcome.figures
    deadline = time.monotonic() + 10
    while runs(int(child.value)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(int(child.value))


def runs(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    return stat.is_file() and stat.read_text().split()[2] != "Z"
