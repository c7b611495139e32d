"""One of several processes that fails, dies or stands still ends all, soon and by name."""

import subprocess
import time

import pytest

from mentor.runs import launch_ranks
from mentor.runs.launch_ranks import Ending
from tests.fixtures.ranks import run_worker


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers report and end at once, or never."""
    monkeypatch.setattr(launch_ranks, "GRACE_S", 1.0)
    monkeypatch.setattr(launch_ranks, "TERMINATE_S", 1.5)


def run(way: str, stall_timeout_s: float = 2) -> tuple[Ending, float]:
    began = time.monotonic()
    ending = run_worker("tests.fixtures.rank_worker", way, count=2, stall_timeout_s=stall_timeout_s)
    left = subprocess.run(["pgrep", "-f", f"tests.fixtures.rank_worker {way}"], capture_output=True, text=True)
    assert not left.stdout, "a process was left behind"
    return ending, time.monotonic() - began


@pytest.mark.parametrize(
    ("way", "cause"),
    [
        ("killed", "rank 1 of 2 was ended by SIGKILL in phase rollout"),
        ("stalled", "rank 1 of 2 made no progress for 2 s in phase rollout"),
        ("blocked", "rank 1 of 2 made no progress for 2 s in phase save"),
        ("stopped", "rank 1 of 2 made no progress for 2 s in phase rollout"),
        ("failed", "rank 1 of 2 failed in phase rollout"),
    ],
)
def test_the_one_to_blame_is_named_with_its_phase_and_stack(way, cause):
    ending, seconds = run(way)
    assert ending.code == 1 and ending.cause == cause
    assert "rank_worker.py" in ending.report and ", in main" in ending.report
    assert ("no such thing" in ending.report) == (way == "failed")
    assert seconds < 40


def test_what_all_say_alike_is_said_once_with_their_code():
    assert run("alike")[0] == Ending(2, None, "mentor: the same everywhere\n")


def test_a_rank_that_writes_without_a_beat_is_left_alone():
    assert run("writing")[0] == Ending(0)
