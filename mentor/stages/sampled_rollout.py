"""What `stage=rollout` needs for teachers that try a task several times: a model in this process, and what to count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.config import ModelConfig, ModelTeacher, ToolsConfig
from mentor.jsonl import JsonlWriter
from mentor.loggers import Logger
from mentor.rewards.correctness import Grader
from mentor.teachers.outcomes import Outcomes
from mentor.teachers.sampled import SAMPLES, Verifier, sample_counts
from mentor.teachers.selection import coverage
from mentor.tools import Toolbox
from mentor.trajectories.store import load_trajectories
from mentor.types import Task


def sample_model(
    tasks: Sequence[Task],
    settings: ModelTeacher,
    tools: ToolsConfig,
    seed: int,
    folder: Path,
    outcomes: Outcomes,
    logger: Logger,
) -> None:
    """Solve the tasks with a model in this process, as many at a time as the sampler runs."""
    from mentor.stages.evaluate import student_environment
    from mentor.teachers.model import tries_at

    model = ModelConfig(
        name="teacher",
        dtype=settings.dtype,
        chat_template=settings.chat_template,
        question_template=settings.question_template,
        enable_thinking=settings.enable_thinking,
        think_history=settings.think_history,
    )
    sampler, samples = settings.sampler, settings.samples
    assert settings.path is not None
    with (
        student_environment(settings.path, tools, model, sampler) as environment,
        open_verifier(folder, settings.choose, logger) as verifier,
    ):
        at_once = max(1, sampler.max_running // samples)
        for start in range(0, len(tasks), at_once):
            part = [named(task, environment.toolbox) for task in tasks[start : start + at_once]]
            tries = tries_at(part, environment, samples, seed, sampler.temperature, sampler.top_p)
            for task, attempts in zip(part, tries, strict=True):
                outcomes.write(task, verifier.conclude(task, [verifier.judged(attempt) for attempt in attempts]))


def named(task: Task, toolbox: Toolbox) -> Task:
    """The task with the name of the tools it is solved with."""
    return replace(task, toolset=toolbox.toolset(task).name)


def selection_counts(folder: Path, tasks: Sequence[Task], toolbox: Toolbox, logger: Logger) -> dict[str, Any]:
    """What became of all tries, and what the kept trajectories cover, for the summary."""
    kept = load_trajectories(folder / "trajectories.jsonl", logger.message)
    tools = dict.fromkeys(name for task in tasks for name in toolbox.toolset(task).names)
    return {
        "tries": sample_counts(folder / SAMPLES, logger.message),
        "coverage": coverage(kept, tasks, list(tools)),
    }


@contextmanager
def open_verifier(folder: Path, choose: str, logger: Logger) -> Iterator[Verifier]:
    with JsonlWriter(folder / SAMPLES, logger.message) as log, Grader() as grader:
        yield Verifier(grader, choose, log)
