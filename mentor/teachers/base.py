"""The interface of a teacher, as the rollout stage uses it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mentor.jsonl import Report
from mentor.teachers.outcomes import Outcomes, Rejection, solve_all
from mentor.tools import Toolbox, ToolExecutor
from mentor.types import Task, Trajectory


class Teacher(ABC):
    """Solves the tasks of a rollout. What it needs for that (a client, a model) is open only while it solves."""

    @abstractmethod
    def solve_all(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes
    ) -> dict[str, Any]:
        """Write the outcome of each task, in task order. Returns what to add to the counts of the summary."""

    def dry_run(self, tasks: Sequence[Task], toolbox: Toolbox, report: Report) -> dict[str, Any] | None:
        """Report what solving would take, where only that is wanted. Returns the counts of the summary, else None."""
        return None

    def retried(self, solved: bool) -> frozenset[str]:
        """Return the reasons of rejections that a later run of an unfinished stage tries again. solved: any task."""
        return frozenset()

    def counts(self, folder: Path, tasks: Sequence[Task], toolbox: Toolbox, report: Report) -> dict[str, Any]:
        """Return further counts for the summary, made from the files of a finished rollout."""
        return {}

    def smoke_check(self) -> list[str]:
        """Try the teacher once, for `stage=check`. Returns lines to print; raises StageError where it cannot work."""
        return []


class TaskTeacher(Teacher):
    """A teacher that solves one task at a time and needs nothing but the tools."""

    @abstractmethod
    async def solve(self, task: Task, executor: ToolExecutor) -> Trajectory | Rejection:
        """Return a trajectory whose calls were all executed and whose last result is the answer, or a rejection."""

    def solve_all(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes
    ) -> dict[str, Any]:
        report = outcomes.logger.message
        asyncio.run(solve_all(tasks, self.solve, toolbox, lambda: concurrency, outcomes.write, report))
        return {}
