"""Tasks with the tools that `task.perturb` shows them, for the stages that ask a student."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from mentor.config import Config, PerturbConfig, TaskConfig, ToolsConfig
from mentor.errors import InputError, StageError
from mentor.jsonl import Report
from mentor.loggers import Logger
from mentor.stages.tooling import configured_toolbox
from mentor.teachers.other_paths import without_a_tool
from mentor.tools import Toolbox
from mentor.types import Perturbation, Task, Trajectory


def perturbed_tasks(
    tasks: Sequence[Task], perturb: PerturbConfig, tools: ToolsConfig, where: str, left_out: list[str]
) -> list[Task]:
    """Return the tasks, each perturbed by its own draw; unchanged tasks where nothing is perturbed.

    With `missing` the reference of a task is the other path, and its id goes to `left_out` where there is none.
    where: the key of the settings. Raises InputError for settings that calls which are not run cannot meet, StageError
    where no task is left.
    """
    settings = asdict(perturb)
    seed, missing = settings.pop("seed"), settings.pop("missing")
    if perturb == PerturbConfig(seed=seed):
        return list(tasks)
    judged = next((task for task in tasks if task.gold is not None), None)
    if judged is not None and (missing or perturb.failure_rate):
        key = "missing=true" if missing else f"failure_rate={perturb.failure_rate:g}"
        raise InputError(
            f"{where}.{key} needs calls that run, and task {judged.id} is judged by its calls alone; "
            f"accepted there: rename, describe, reorder and distractors"
        )
    shown = [replace(task, perturbation=Perturbation(f"{seed}/{task.id}", **settings)) for task in tasks]
    if not missing:
        return shown
    found = asyncio.run(_other_paths(shown, configured_toolbox(tools)))
    left_out += [task.id for task, other in zip(tasks, found, strict=True) if other is None]
    kept = [other for other in found if other is not None]
    if not kept:
        raise StageError(
            f"{where}.missing=true leaves no task: none of {len(tasks)} has calls of a teacher that the other tools "
            "can replace"
        )
    return kept


def training_tasks(taught: Sequence[Trajectory], config: Config, logger: Logger) -> tuple[list[Task], int]:
    """Return the tasks that stage=rl trains on, perturbed as `task.perturb` says, and how many of them it left out."""
    tasks, tools, pathless = [trajectory.task for trajectory in taught], config.tools, list[str]()
    assert tools is not None
    kept = perturbed_tasks(tasks, (config.task or TaskConfig()).perturb, tools, "task.perturb", pathless)
    say_left_out("task", pathless, kept, logger.message)
    return kept, len(pathless)


def say_left_out(name: str, pathless: Sequence[str], kept: Sequence[Task], report: Report) -> None:
    """Report how many tasks `missing` left out, if any. name: of the task or benchmark. pathless: their ids."""
    if pathless:
        tasks = len(pathless) + len(kept)
        report(f"{name}: {len(pathless)} of {tasks} tasks left out, whose teacher's tools the others cannot replace")


def counted(pathless: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Count the tasks that were left out, by name; only where there are any."""
    return {name: len(ids) for name, ids in pathless.items() if ids}


async def _other_paths(tasks: Sequence[Task], toolbox: Toolbox) -> list[Task | None]:
    async def look(task: Task) -> Task | None:
        if task.tools is not None:  # no calculator's
            return None
        async with toolbox.lease(replace(task, perturbation=None)) as executor:
            return await without_a_tool(task, executor)

    async with toolbox:
        return await asyncio.gather(*map(look, tasks))
