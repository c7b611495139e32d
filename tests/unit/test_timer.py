"""Seconds by phase, and the phase that the watchdog sees."""

import time

import pytest

from mentor import progress
from mentor.timer import Timer, timed_part


def test_blocks_of_a_phase_add_up_and_name_it_while_they_run():
    timer = Timer()
    outside = progress.position()[0]
    for _ in range(2):
        with timer("update"):
            assert progress.position()[0] == "update"
            time.sleep(0.01)
    with timer("push"):
        pass
    assert timer.seconds["update"] >= 0.02 > timer.seconds["push"] >= 0
    assert set(timer.seconds) == {"update", "push"} and progress.position()[0] == outside


def test_parts_are_those_of_the_phase_that_runs():
    timer, inner = Timer(), Timer()
    with timed_part("decode"):  # of no phase
        pass
    with timer("rollout"):
        for _ in range(2):
            with timed_part("decode"):
                time.sleep(0.01)
        with inner("push"), timed_part("check"):
            pass
    assert set(timer.seconds) == {"rollout", "rollout/decode"} and set(inner.seconds) == {"push", "push/check"}
    assert timer.seconds["rollout"] >= timer.seconds["rollout/decode"] >= 0.02
    with pytest.raises(ValueError), timer("reward"):
        raise ValueError
    with timed_part("decode"):  # the phase that failed has ended
        pass
    assert set(timer.seconds) == {"rollout", "rollout/decode"}
    progress._now.phase = "start"


def test_a_phase_that_failed_stays_the_one_it_failed_in():
    timer = Timer()
    before = progress.position()[0]
    with pytest.raises(ValueError), timer("reward"):
        raise ValueError
    assert progress.position()[0] == "reward" and "reward" not in timer.seconds
    progress._now.phase = before
