"""Grader processes: verdicts are remembered, failures are not."""

import pytest

from mentor.errors import GraderError
from mentor.rewards.grader_pool import GraderPool


def test_an_undecided_verdict_is_asked_again():
    """A limit that no process can keep stands for a busy moment; with time the same question has its answer."""
    question = ("project", r"\sqrt{8}", [r"2\sqrt{2}"])
    with GraderPool(1) as pool:
        assert pool.judge(*question, timeout_s=0.0) is None
        assert pool.judge(*question, timeout_s=20.0) is True
        assert pool.judge(*question, timeout_s=0.0) is True  # remembered, so no process is asked


def test_a_process_is_replaced_when_it_is_late_and_kept_when_it_is_not() -> None:
    with GraderPool(1) as pool:
        assert pool.judge("project", r"\sqrt{8}", [r"2\sqrt{2}"], timeout_s=20.0) is True
        (first,) = pool._slots.queue
        assert pool.judge("project", r"\sqrt{8}", [r"3\sqrt{2}"], timeout_s=20.0) is False
        (same,) = pool._slots.queue
        assert first is same and first is not None and first.alive
        assert pool.judge("project", r"\sqrt{18}", [r"3\sqrt{2}"], timeout_s=0.0) is None
        assert list(pool._slots.queue) == [None] and not first.alive


def test_the_oldest_verdict_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mentor.rewards.grader_pool.CACHE_SIZE", 1)
    with GraderPool(1) as pool:
        pool.judge("released", "5", ["5"], timeout_s=20.0)
        pool.judge("released", "6", ["5"], timeout_s=20.0)
        assert pool._cache == {("released", "6", ("5",)): False}


def test_processes_that_are_started_beforehand_get_ready_by_themselves_and_are_the_ones_asked() -> None:
    with GraderPool(2) as pool:
        pool.start()
        started = list(pool._slots.queue)
        assert pool.judge("project", r"\sqrt{8}", [r"2\sqrt{2}"], timeout_s=5.0) is True
        assert None not in started and set(pool._slots.queue) == set(started)
        pool.start()
        assert set(pool._slots.queue) == set(started), "those that run are kept"
    assert not any(process.alive for process in started)


def test_a_process_that_cannot_start_is_told_of_by_the_call_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mentor.rewards.grader_pool.WORKER", "mentor.rewards.no_such_worker")
    with GraderPool(1) as pool:
        pool.start()
        with pytest.raises(GraderError, match="the process no_such_worker did not start: .*No module named"):
            pool.judge("project", "x", ["y"], timeout_s=5.0)
        assert list(pool._slots.queue) == [None]
