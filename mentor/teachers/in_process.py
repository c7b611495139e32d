"""The teacher in this process: tries at tasks, all turns of all tries batched by the sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor.config import ModelTeacher
from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.teachers.outcomes import Outcomes
from mentor.teachers.sampled import SamplingTeacher, open_verifier
from mentor.tools import Toolbox
from mentor.types import Task, Trajectory

OpenEnvironment = Callable[[Toolbox], AbstractContextManager[Environment]]


class InProcessTeacher(SamplingTeacher):
    """`teacher=model`. open_environment: loads the model; called once with the tools, when there are tasks to solve."""

    def __init__(self, settings: ModelTeacher, seed: int, open_environment: OpenEnvironment) -> None:
        self.settings, self.seed, self.open_environment = settings, seed, open_environment

    def solve_all(
        self, tasks: Sequence[Task], toolbox: Toolbox, concurrency: int, outcomes: Outcomes
    ) -> dict[str, Any]:
        """Sample as many tries at a time as the sampler runs, whatever `concurrency` says."""
        sampler, samples = self.settings.sampler, self.settings.samples
        report = outcomes.logger.message
        with (
            self.open_environment(toolbox) as environment,
            open_verifier(outcomes.folder, self.settings.choose, report) as verifier,
        ):
            at_once = max(1, sampler.max_running * len(environment.sampler.engines) // samples)
            for start in range(0, len(tasks), at_once):
                part = [named(task, toolbox) for task in tasks[start : start + at_once]]
                drawn = (sampler.temperature, sampler.top_p, sampler.top_k)
                tries = tries_at(part, environment, samples, self.seed, *drawn)
                for task, attempts in zip(part, tries, strict=True):
                    outcomes.write(task, verifier.conclude(task, [verifier.judged(attempt) for attempt in attempts]))
        return {}

    def smoke_check(self) -> list[str]:
        """Whether the model is a folder here; it is not loaded."""
        there = Path(self.settings.path or "").is_dir()
        return [f"teacher: {self.settings.path} is {'a folder here' if there else 'not a folder here, so a hub name'}"]


def named(task: Task, toolbox: Toolbox) -> Task:
    """Return the task with the name of the toolset that it is solved with."""
    return replace(task, toolset=toolbox.toolset(task).name)


def tries_at(
    tasks: Sequence[Task],
    environment: Environment,
    samples: int,
    seed: int,
    temperature: float,
    top_p: float = 1.0,
    top_k: int | None = None,
) -> list[list[Trajectory]]:
    """Sample `samples` trajectories of each task, each with its own seed.

    They hold no tokens, as those of every teacher: a student may have another tokenizer.
    """
    requests = [
        RolloutRequest(task, derive_seed(seed, task.id, sample), None, temperature, top_p, top_k)
        for task in tasks
        for sample in range(samples)
    ]
    done = [replace(entry, tokens=None, response=None, eos=None) for entry in environment.rollout(requests)]
    return [done[start : start + samples] for start in range(0, len(done), samples)]
