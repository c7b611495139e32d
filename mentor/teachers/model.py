"""The teacher in this process: tries at tasks, all turns of all tries batched by the sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mentor.environment import Environment, RolloutRequest, derive_seed
from mentor.types import Task, Trajectory


def tries_at(
    tasks: Sequence[Task], environment: Environment, samples: int, seed: int, temperature: float, top_p: float
) -> list[list[Trajectory]]:
    """`samples` trajectories for each task, each with a seed of its own. Without tokens, as a teacher's are: students
    may have another tokenizer.
    """
    requests = [
        RolloutRequest(task, derive_seed(seed, task.id, sample), None, temperature, top_p)
        for task in tasks
        for sample in range(samples)
    ]
    done = [replace(entry, tokens=None, response=None, eos=None) for entry in environment.rollout(requests)]
    return [done[start : start + samples] for start in range(0, len(done), samples)]
