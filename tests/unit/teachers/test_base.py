"""The defaults of a teacher, and a teacher that solves one task at a time."""

from mentor.loggers import silent_logger
from mentor.teachers import Rejection, TaskTeacher
from mentor.teachers.outcomes import open_outcomes
from mentor.tools import Toolbox, Toolset
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import Task


class Refuses(TaskTeacher):
    async def solve(self, task, executor):
        return Rejection("refused", f"{len(executor.toolset.names)} tools")


def test_a_task_teacher_writes_an_outcome_for_each_task(tmp_path):
    tasks = [Task(name, "q", ("1",), "calculator") for name in "ab"]
    counts, toolbox = RolloutCounts(), Toolbox(Toolset.builtin("calculator"))
    with open_outcomes(tmp_path, counts, 2, silent_logger()) as outcomes:
        assert Refuses().solve_all(tasks, toolbox, 4, outcomes) == {}
    assert counts.ids == {"a", "b"} and counts.counts()["rejected"] == {"refused": 2}


def test_a_teacher_needs_no_dry_run_no_retries_no_counts_and_no_smoke_check(tmp_path):
    teacher, toolbox = Refuses(), Toolbox(Toolset.builtin("calculator"))
    assert teacher.dry_run([], toolbox, print) is None and teacher.retried(solved=False) == frozenset()
    assert teacher.counts(tmp_path, [], toolbox, print) == {} and teacher.smoke_check() == []
