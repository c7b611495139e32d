"""A rank that loads or writes for long is left alone; one that stands still is found within the limit. No real time."""

import os
import subprocess
import sys

import pytest

from mentor.runs.stalls import SIGN_BYTES, StallWatch, bytes_moved
from mentor.runs.status import Status

LIMIT_S = 45.0
MIB = 2**20


class Clocked:
    """A watch of ranks whose phases, beats and bytes a test sets; it looks ten times a second of simulated time."""

    def __init__(self, *phases: str) -> None:
        self.now = 0.0
        self.statuses = [Status(phase) for phase in phases]
        self.rates = [0.0] * len(phases)  # bytes a second
        self.watch = StallWatch(range(len(phases)), LIMIT_S, 0.0, lambda pid, tree: int(self.rates[pid] * self.now))

    def until(self, seconds: float) -> list[tuple[int, float]]:
        """Go on to this time, or to the first stall: its ranks and the seconds without a sign of life."""
        while self.now < seconds:
            self.now += 0.1
            if found := self.watch.look(self.statuses, self.now):
                return [(index, round(silent)) for index, _, silent in found]
        return []


def test_a_checkpoint_that_takes_half_an_hour_is_written_to_its_end():
    """16 GB, then a disk that stands still."""
    clocked = Clocked("save", "waiting for the other processes")
    clocked.rates[0] = 16e9 / 1800
    beats = 0
    for second in range(1, 1801):
        beats += 1
        clocked.statuses[1] = Status("waiting for the other processes", beats)
        assert not clocked.until(second)
    clocked.rates[0] = 0.0
    clocked.watch.look(clocked.statuses, clocked.now)
    for second in range(1801, 1860):
        beats += 1
        clocked.statuses[1] = Status("waiting for the other processes", beats)
        if found := clocked.until(second):
            break
    assert found == [(0, 45)] and clocked.now < 1860, "within a minute"


def test_one_that_writes_next_to_nothing_has_stalled():
    clocked = Clocked("save", "rollout")
    clocked.rates[0] = 0.8 * SIGN_BYTES / LIMIT_S
    for second in range(60):
        clocked.statuses[1] = Status("rollout", second)
        if found := clocked.until(second):
            break
    assert found == [(0, 45)]


def test_bytes_count_in_no_other_phase():
    clocked = Clocked("update")
    clocked.rates[0] = 1e9
    assert clocked.until(60) == [(0, 45)]


def test_flushing_with_beats_alone_is_progress():
    clocked = Clocked("save")
    for beat in range(60):
        clocked.statuses[0] = Status("save", beat)
        assert not clocked.until(30.0 * beat)


def test_a_download_by_one_rank_keeps_the_others_waiting_and_then_the_patience_is_ten_times_the_limit():
    clocked = Clocked("start", "start")
    clocked.rates[0] = MIB
    assert not clocked.until(1800)
    clocked.rates[0] = 0.0
    assert clocked.until(2400) == [(0, 450), (1, 450)]


def test_a_rank_that_starts_waits_for_no_rank_that_has_started():
    clocked = Clocked("start", "rollout")
    for beat in range(600):
        clocked.statuses[1] = Status("rollout", beat)
        if found := clocked.until(beat):
            break
    assert found == [(0, 450)]


def test_real_bytes_are_those_written_touched_and_those_of_a_child(tmp_path):
    before = bytes_moved(os.getpid(), descendants=False)
    (tmp_path / "file").write_bytes(bytes(20 * MIB))
    written = bytes_moved(os.getpid(), descendants=False)
    assert written - before >= 20 * MIB
    bytearray(os.urandom(MIB) * 20)
    assert bytes_moved(os.getpid(), descendants=False) - written >= 10 * MIB
    writes = "import sys; sys.stdout.write('x' * 20 * 2**20 + 'done'); sys.stdout.flush(); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", writes], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.read(20 * MIB + 4).endswith(b"done")
    assert bytes_moved(child.pid, descendants=True) >= 20 * MIB
    assert bytes_moved(os.getpid(), True) - bytes_moved(os.getpid(), False) >= 20 * MIB
    child.communicate()
    assert bytes_moved(child.pid, descendants=True) == 0


@pytest.mark.parametrize("phase", ["start", "save"])
def test_a_process_that_only_waits_moves_no_sign_of_life(phase):
    """Its own looks at /proc are not enough."""
    watch = StallWatch([os.getpid()], LIMIT_S, 0.0)
    before = bytes_moved(os.getpid(), True)
    for second in range(200):
        watch.look([Status(phase)], float(second))
    assert (bytes_moved(os.getpid(), True) - before) / 200 * LIMIT_S < SIGN_BYTES / 2
