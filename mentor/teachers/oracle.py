"""The oracle executes the known program of a generated calculator task, or another valid tool path."""

from __future__ import annotations

import random

from mentor.tasks.programs import Program, alternatives
from mentor.teachers.base import TaskTeacher
from mentor.teachers.outcomes import Rejection
from mentor.teachers.transcript import execute
from mentor.tools import ToolExecutor
from mentor.types import Task, Trajectory


class Oracle(TaskTeacher):
    """Solves tasks that carry `source["program"]`.

    alternative_share: share of tasks solved by another tool path where there is one. The draw depends on the task's id
    and `seed` alone, not on order or concurrency.
    """

    def __init__(self, alternative_share: float, seed: int) -> None:
        self.alternative_share = alternative_share
        self.seed = seed

    async def solve(self, task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
        if "program" not in task.source:
            return Rejection("no_program", "the oracle solves generated calculator tasks only")
        return await execute(self.path(task.id, task.source["program"]), task, executor)

    def path(self, task_id: str, program: Program) -> Program:
        """Draw the program itself or one of its alternatives."""
        rng = random.Random(f"{self.seed} {task_id}")
        if rng.random() >= self.alternative_share:
            return program
        return rng.choice(alternatives(program) or [program])
