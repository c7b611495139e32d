"""Outcomes of a teacher rollout: solve tasks concurrently and store each outcome in task order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mentor.jsonl import JsonlWriter
from mentor.loggers import Logger
from mentor.loggers.console import Progress
from mentor.teachers.base import CapReached, Rejection, Teacher
from mentor.tools import Toolbox
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.types import Task, Trajectory


@dataclass
class Outcomes:
    """Where outcomes go, as soon as they are there. stopped_by: why tasks were left unsolved, None where none was."""

    verified: JsonlWriter
    rejected: JsonlWriter
    counts: RolloutCounts
    bar: Progress
    logger: Logger
    stopped_by: str | None = None

    def write(self, task: Task, outcome: Trajectory | Rejection | CapReached) -> None:
        if isinstance(outcome, CapReached):
            self.stopped_by = str(outcome)
            return
        if isinstance(outcome, Rejection):
            record = {"id": task.id, **asdict(outcome), "question": task.question}
            self.rejected.write(record)
            self.counts.reject(record)
        else:
            self.verified.write(outcome.to_dict())
            self.counts.keep(outcome)
        self.bar.advance(verified=self.counts.verified, rejected=self.counts.rejected)


@contextmanager
def open_outcomes(folder: Path, counts: RolloutCounts, waiting: int, logger: Logger) -> Iterator[Outcomes]:
    with (
        JsonlWriter(folder / "trajectories.jsonl", logger.message) as verified,
        JsonlWriter(folder / "rejected.jsonl", logger.message) as rejected,
        logger.progress(waiting + len(counts.ids), "rollout", len(counts.ids)) as bar,
    ):
        yield Outcomes(verified, rejected, counts, bar, logger)


async def solve_all(
    tasks: Sequence[Task], teacher: Teacher, toolbox: Toolbox, concurrency: int, outcomes: Outcomes
) -> None:
    """Write every outcome as soon as those of the tasks before it are written."""
    async with toolbox, aclosing(in_order(tasks, teacher, toolbox, concurrency)) as solved:
        outcomes.logger.message(toolbox.summary)
        async for task, outcome in solved:
            outcomes.write(task, outcome)


async def in_order(
    tasks: Sequence[Task], teacher: Teacher, toolbox: Toolbox, concurrency: int
) -> AsyncGenerator[tuple[Task, Trajectory | Rejection | CapReached], None]:
    """Outcomes in task order, with up to `concurrency` tasks in flight. A cap ends those tasks that need more."""
    flying: deque[tuple[Task, asyncio.Task[Trajectory | Rejection | CapReached]]] = deque()
    try:
        for task in tasks:
            if len(flying) >= concurrency:
                yield flying[0][0], await flying[0][1]
                flying.popleft()
            flying.append((task, asyncio.create_task(_solved(teacher, task, toolbox))))
        while flying:
            yield flying[0][0], await flying[0][1]
            flying.popleft()
    finally:
        for _, outcome in flying:
            outcome.cancel()


async def _solved(teacher: Teacher, task: Task, toolbox: Toolbox) -> Trajectory | Rejection | CapReached:
    try:
        async with toolbox.lease(task) as executor:
            return await teacher.solve(task, executor)
    except CapReached as cap:
        return cap
