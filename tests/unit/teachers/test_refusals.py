"""Tasks refused alike wait, and end the rollout when they are many; those refused on their own are rejected."""

from contextlib import contextmanager

import pytest

from mentor.endpoints.spending import NoMoreRequests
from mentor.errors import StageError
from mentor.loggers import silent_logger
from mentor.teachers.outcomes import Rejection, open_outcomes
from mentor.teachers.refusals import Refusals, alike
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import Task
from tests.fixtures.teacher_rollouts import ids

WRONG = Rejection("wrong_answer", "answered 1")


def refused(number, why="the reasoning has to come back"):
    return Rejection("request_refused", f"HTTP 400: {why}, message {number}")


@contextmanager
def refusals(folder, limit=3):
    with open_outcomes(folder, RolloutCounts(), 9, silent_logger()) as outcomes:
        stopped: list[str] = []
        yield Refusals(outcomes, limit, 64, "teacher.model=m", stopped.append), stopped


def write(entry, *outcomes):
    """Write outcomes of tasks t0, t1, ...; how many may be in flight after each."""
    rooms = []
    for number, outcome in enumerate(outcomes):
        entry.write(Task(f"t{number}", "q", ("1",), "calculator"), outcome)
        rooms.append(entry.room())
    return rooms


def test_refused_tasks_wait_until_another_gets_through(tmp_path):
    with refusals(tmp_path) as (entry, stopped):
        assert entry.room() == 3
        assert write(entry, refused(1), refused(2)) == [2, 1] and ids(tmp_path, "rejected.jsonl") == []
        assert write(entry, WRONG) == [64]
        assert ids(tmp_path, "rejected.jsonl") == ["t0", "t1", "t0"] and stopped == []


def test_so_many_alike_stop_the_rollout_and_stay_unsolved(tmp_path):
    with refusals(tmp_path) as (entry, stopped):
        rooms = write(entry, WRONG, refused(1), NoMoreRequests("a cap"), refused(2), refused(3), WRONG, refused(4))
        assert rooms == [64] * 7 and ids(tmp_path, "rejected.jsonl") == ["t0", "t5"]
        said = r"^teacher.model=m: 3 tasks in a row were refused alike, the last \(t4\) with HTTP 400: the reasoning"
        with pytest.raises(StageError, match=said):
            entry.finish()
        assert len(stopped) == 1


def test_refusals_that_differ_and_those_at_the_end_are_the_tasks_own(tmp_path):
    with refusals(tmp_path) as (entry, stopped):
        write(
            entry, refused(1), refused(2), refused(3, "too long by far for this model"), refused(4, "bad schema of x")
        )
        assert ids(tmp_path, "rejected.jsonl") == ["t0", "t1", "t2"]
        entry.finish()
        assert ids(tmp_path, "rejected.jsonl") == ["t0", "t1", "t2", "t3"] and stopped == []


def test_those_that_wait_when_a_cap_is_reached_stay_unsolved(tmp_path):
    with refusals(tmp_path) as (entry, _):
        write(entry, refused(1), NoMoreRequests("teacher.max_cost=1 is reached"))
        entry.finish()
        assert ids(tmp_path, "rejected.jsonl") == []


def test_without_a_limit_nothing_waits(tmp_path):
    with refusals(tmp_path, limit=None) as (entry, stopped):
        assert write(entry, *map(refused, range(20))) == [64] * 20 and stopped == []
        assert len(ids(tmp_path, "rejected.jsonl")) == 20


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("HTTP 400: index 4", "HTTP 400: index 16", True),
        (
            "HTTP 400: the id of a call was abcdefghi, not nine",
            "HTTP 400: the id of a call was QwErTyUiO, not nine",
            True,
        ),
        ("4 of 4 tries: HTTP 400: bad", "3 of 4 tries: HTTP 400: bad", True),
        ("HTTP 400: too long", "HTTP 400: no tools", False),
    ],
)
def test_refusals_alike(one, other, same):
    assert alike(one, other) is same
