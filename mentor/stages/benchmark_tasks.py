"""The tasks of the benchmarks that `stage=eval` evaluates on, and how many of them the students were trained on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mentor.config import BenchmarkConfig, Config, EvalStage, ToolsConfig
from mentor.errors import StageError
from mentor.jsonl import read_jsonl
from mentor.loggers import Logger
from mentor.stages.perturbing import perturbed_tasks
from mentor.stages.tooling import configured_toolbox
from mentor.tasks import load_tasks
from mentor.tasks.calculator import normalized
from mentor.tasks.requested_format import in_format
from mentor.teachers import Rejection, build_teacher
from mentor.tools import Toolbox
from mentor.types import Task, Trajectory


def benchmark_tasks(
    name: str,
    entry: BenchmarkConfig,
    config: Config,
    skipped: list[str] | None = None,
    pathless: list[str] | None = None,
) -> list[Task]:
    """Load the tasks of one benchmark, with the teacher's calls where `benchmark.<name>.teacher` names a teacher.

    skipped: gets a line for each row that was left out (`task.bad_rows=skip`). pathless: gets the id of each task that
    was left out because it has no other path (`task.perturb.missing`). Raises StageError where no task is left.
    """
    stage, tools = config.stage, config.tools
    assert isinstance(stage, EvalStage) and isinstance(tools, ToolsConfig)
    where = f"benchmark.{name}.task"
    loaded = load_tasks(**entry.task.source(), splits=list(entry.splits), where=where, skipped=skipped)
    loaded = in_format(loaded, entry.task.answer_format)
    tasks = [task for split in entry.splits for task in [t for t in loaded if t.split == split][: stage.limit]]
    if not tasks:
        raise StageError(f"benchmark.{name} has no task in splits {', '.join(entry.splits)}")
    if entry.teacher is not None:
        tasks = asyncio.run(with_reference(tasks, entry.teacher, configured_toolbox(tools)))
    return perturbed_tasks(tasks, entry.task.perturb, tools, f"{where}.perturb", [] if pathless is None else pathless)


async def with_reference(tasks: Sequence[Task], teacher_name: str, toolbox: Toolbox) -> list[Task]:
    """Solve the tasks with the teacher and put its calls into their references; a rejected task keeps its own."""
    teacher = build_teacher(teacher_name, 0.0, 0)

    async def solve(task: Task) -> Trajectory | Rejection:
        async with toolbox.lease(task) as executor:
            return await teacher.solve(task, executor)

    async with toolbox:
        solved = await asyncio.gather(*map(solve, tasks))
    return [
        replace(task, reference=tuple(found.executed_calls()))
        if isinstance(found, Trajectory) and task.gold is None
        else task
        for task, found in zip(tasks, solved, strict=True)
    ]


def count_seen(tasks: Mapping[str, Sequence[Task]], root: Path, logger: Logger) -> dict[str, int]:
    """Count the questions of each benchmark that are among the run's training tasks; say so where there are any."""
    seen = {name: seen_in_training(entry, root) for name, entry in tasks.items()}
    for name, count in seen.items():
        if count:
            logger.message(f"{name}: {count} of {len(tasks[name])} questions are among the run's training tasks")
    return seen


def seen_in_training(tasks: Sequence[Task], root: Path) -> int:
    """Count the questions that are among the tasks of the run's rollout. Case and spacing are ignored."""
    taught = root / "rollout" / "trajectories.jsonl"
    if not taught.is_file():
        return 0
    questions = {normalized(record["task"]["question"]) for record in read_jsonl(taught)}
    return sum(normalized(task.question) in questions for task in tasks)
