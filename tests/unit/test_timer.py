"""Seconds by phase, and the phase that the watchdog sees."""

import time

import pytest

from mentor import progress
from mentor.timer import Timer


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


def test_a_phase_that_failed_stays_the_one_it_failed_in():
    timer = Timer()
    before = progress.position()[0]
    with pytest.raises(ValueError), timer("reward"):
        raise ValueError
    assert progress.position()[0] == "reward" and "reward" not in timer.seconds
    progress._now.phase = before
