"""`stage=rollout`: the teacher solves the tasks with tools, once.

tasks -> teacher, real tool calls -> trajectories.jsonl (verified), rejected.jsonl (the rest, with reasons). Both files
are in task order. Run again, the stage goes on behind what is stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from mentor.config import Config, RolloutStage, TaskConfig, TeacherConfig, ToolsConfig
from mentor.errors import StageError
from mentor.jsonl import JsonlWriter
from mentor.loggers import Logger
from mentor.runs import RunFolder
from mentor.stages import StageResult
from mentor.stages.tooling import configured_toolbox
from mentor.tasks import load_tasks
from mentor.teachers import Rejection, Teacher, build_teacher
from mentor.tools import Toolbox
from mentor.trajectories.tally import Tally
from mentor.types import Task, Trajectory


def run(config: Config, folder: RunFolder, logger: Logger) -> StageResult:
    """Headline `rollout/verified_share`: verified trajectories of all tasks. Raises StageError when there are none."""
    stage, task, teacher, tools = config.stage, config.task, config.teacher, config.tools
    assert isinstance(stage, RolloutStage) and isinstance(task, TaskConfig)
    assert isinstance(teacher, TeacherConfig) and isinstance(tools, ToolsConfig)
    began = perf_counter()
    tasks = load_tasks(**asdict(task))[: stage.limit]
    toolbox = configured_toolbox(tools)
    solver = build_teacher(teacher.name, teacher.alternative_share, config.seed)
    tally = Tally.stored(folder.path, logger.message)
    waiting = [task for task in tasks if task.id not in tally.ids]
    loaded = perf_counter()

    asyncio.run(solve_all(waiting, solver, toolbox, stage.concurrency, folder.path, tally, logger))
    logger.log(0, tally.metrics())
    if tally.verified == 0:
        raise StageError(f"none of {len(tasks)} tasks gave a verified trajectory; rejected: {dict(tally.reasons)}")
    seconds = {"load": loaded - began, "solve": perf_counter() - loaded}
    return StageResult(("rollout/verified_share", tally.verified_share), tally.counts(), seconds)


async def solve_all(
    tasks: Sequence[Task],
    teacher: Teacher,
    toolbox: Toolbox,
    concurrency: int,
    folder: Path,
    tally: Tally,
    logger: Logger,
) -> None:
    """Write every outcome as soon as those of the tasks before it are written."""
    with (
        JsonlWriter(folder / "trajectories.jsonl", logger.message) as verified,
        JsonlWriter(folder / "rejected.jsonl", logger.message) as rejected,
        logger.progress(len(tasks) + len(tally.ids), "rollout", len(tally.ids)) as bar,
    ):
        async with toolbox, aclosing(in_order(tasks, teacher, toolbox, concurrency)) as outcomes:
            logger.message(toolbox.summary)
            async for task, outcome in outcomes:
                if isinstance(outcome, Rejection):
                    record = {"id": task.id, **asdict(outcome), "question": task.question}
                    rejected.write(record)
                    tally.reject(record)
                else:
                    verified.write(outcome.to_dict())
                    tally.keep(outcome)
                bar.advance(verified=tally.verified, rejected=tally.rejected)


async def in_order(
    tasks: Sequence[Task], teacher: Teacher, toolbox: Toolbox, concurrency: int
) -> AsyncGenerator[tuple[Task, Trajectory | Rejection], None]:
    """Outcomes in task order, with up to `concurrency` tasks in flight."""

    async def solve(task: Task) -> Trajectory | Rejection:
        async with toolbox.lease(task) as executor:
            return await teacher.solve(task, executor)

    flying: deque[tuple[Task, asyncio.Task[Trajectory | Rejection]]] = deque()
    try:
        for task in tasks:
            if len(flying) >= concurrency:
                yield flying[0][0], await flying[0][1]
                flying.popleft()
            flying.append((task, asyncio.create_task(solve(task))))
        while flying:
            yield flying[0][0], await flying[0][1]
            flying.popleft()
    finally:
        for _, outcome in flying:
            outcome.cancel()
