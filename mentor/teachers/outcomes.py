"""Outcomes of a teacher rollout: solve tasks concurrently, store each outcome in task order, count them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mentor.endpoints.spending import NoMoreRequests
from mentor.jsonl import JsonlWriter, Report
from mentor.loggers import Logger
from mentor.loggers.console import Progress
from mentor.tools import Toolbox, ToolExecutor
from mentor.trajectories.rollout_counts import RolloutCounts
from mentor.trajectories.store import TrajectoryWriter
from mentor.types import Task, Trajectory

TRAJECTORIES = "trajectories.jsonl"
REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Rejection:
    """Why a teacher has no verified trajectory for a task. `reason` is a slug to count by, `detail` one line."""

    reason: str
    detail: str


TaskOutcome = Trajectory | Rejection | NoMoreRequests
Solve = Callable[[Task, ToolExecutor], Awaitable[Trajectory | Rejection]]
Write = Callable[[Task, TaskOutcome], None]


@dataclass
class Outcomes:
    """The open files of a rollout folder and its counts.

    stopped_by: what left tasks unsolved, None where no task was left.
    """

    folder: Path
    verified: TrajectoryWriter
    rejected: JsonlWriter
    counts: RolloutCounts
    bar: Progress
    logger: Logger
    stopped_by: str | None = None

    def write(self, task: Task, outcome: TaskOutcome) -> None:
        """Store one outcome and count it. What stopped the teacher is noted in `stopped_by` alone."""
        if isinstance(outcome, NoMoreRequests):
            self.stopped_by = str(outcome)
            return
        if isinstance(outcome, Rejection):
            self._reject(task.id, outcome, task.question)
        else:
            self.verified.write(outcome.to_dict())
            self.counts.keep(outcome)
        self.bar.advance(verified=self.counts.verified, rejected=self.counts.rejected)

    def reject_rows(self, lines: Sequence[str]) -> None:
        """Store rows that are no tasks, by the lines that say why, which begin with their place."""
        for line in lines:
            place = line.partition(": ")[0]
            if place not in self.counts.ids:
                self._reject(place, Rejection("bad_row", line), "")

    def _reject(self, task_id: str, outcome: Rejection, question: str) -> None:
        record = {"id": task_id, **asdict(outcome), "question": question}
        self.rejected.write(record)
        self.counts.reject(record)


@contextmanager
def open_outcomes(folder: Path, counts: RolloutCounts, waiting: int, logger: Logger) -> Iterator[Outcomes]:
    """Open both files of a rollout folder for appending. counts: of what they hold. waiting: tasks still to solve."""
    with (
        TrajectoryWriter(folder / TRAJECTORIES, logger.message) as verified,
        JsonlWriter(folder / REJECTED, logger.message) as rejected,
        logger.progress(waiting + len(counts.ids), "rollout", len(counts.ids)) as bar,
    ):
        yield Outcomes(folder, verified, rejected, counts, bar, logger)


async def solve_all(
    tasks: Sequence[Task], solve: Solve, toolbox: Toolbox, room: Callable[[], int], write: Write, report: Report
) -> None:
    """Solve the tasks concurrently. Hand each outcome to `write` as soon as those of all tasks before it are written.

    room: how many tasks may be in flight, asked before each.
    """
    async with toolbox, aclosing(in_order(tasks, solve, toolbox, room)) as solved:
        report(toolbox.summary)
        async for task, outcome in solved:
            write(task, outcome)


async def in_order(
    tasks: Sequence[Task], solve: Solve, toolbox: Toolbox, room: Callable[[], int]
) -> AsyncGenerator[tuple[Task, TaskOutcome], None]:
    """Yield (task, outcome) in task order, with up to `room()` tasks in flight.

    `NoMoreRequests` is the outcome of its task alone: later tasks are still tried, and end well where they need nothing
    more (their answers are stored already).
    """
    flying: deque[tuple[Task, asyncio.Task[TaskOutcome]]] = deque()
    try:
        for task in tasks:
            while flying and len(flying) >= room():
                yield flying[0][0], await flying[0][1]
                flying.popleft()
            flying.append((task, asyncio.create_task(_solved(solve, task, toolbox))))
        while flying:
            yield flying[0][0], await flying[0][1]
            flying.popleft()
    finally:
        for _, outcome in flying:
            outcome.cancel()


async def _solved(solve: Solve, task: Task, toolbox: Toolbox) -> TaskOutcome:
    try:
        async with toolbox.lease(task) as executor:
            return await solve(task, executor)
    except NoMoreRequests as why:
        return why
