"""Inputs of a lint: tasks of the run's teacher, or generated ones before there is a teacher; and a chat format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mentor.chat import ChatFormat
from mentor.chat.tiny import train_tokenizer
from mentor.linting.cases import usable
from mentor.tasks import load_tasks
from mentor.teachers import build_teacher
from mentor.tools import Toolbox
from mentor.trajectories.store import load_trajectories
from mentor.types import Task, Trajectory


def teacher_tasks(path: Path, limit: int) -> list[Task]:
    """Return the first tasks of stored teacher trajectories that used tools."""
    return usable([trajectory.task for trajectory in load_trajectories(path, schemas=False)])[:limit]


def generated_tasks(toolbox: Toolbox, limit: int) -> list[Task]:
    """Generate calculator tasks with the calls of their own programs."""
    tasks = load_tasks("calculator", size=limit)
    oracle = build_teacher("oracle")

    async def solve(task: Task) -> Task:
        async with toolbox.lease(task) as executor:
            solved = await oracle.solve(task, executor)
            assert isinstance(solved, Trajectory)  # its tools are the oracle's own
            return replace(task, reference=tuple(solved.executed_calls()))

    async def solve_all() -> list[Task]:
        async with toolbox:
            return [await solve(task) for task in tasks]

    return asyncio.run(solve_all())


def plain_chat(texts: Iterable[str]) -> ChatFormat:
    """Build the tiny student's chat format, for a run without a model yet."""
    return ChatFormat(train_tokenizer(texts, 400))
