"""Which tasks an RL step draws, the rollout requests of its groups, and trajectories put back into groups.

The draw depends on the seed and the place in the run alone, so a resumed run draws the tasks of an unbroken one. A
`Curriculum` draws tasks by the student's success instead.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

from mentor.environment import RolloutRequest, derive_seed
from mentor.types import Task, Trajectory, TrajectoryGroup


def first_place(step: int, number: int, rounds: int, prompts: int) -> int:
    """Return the first place in the order of draws of a step, from 1, and its sampling round `number`, from 0.

    rounds: the most of a step. The places of rounds that a step does not need are skipped, so that what a step draws
    does not depend on how many rounds the steps before it took.
    """
    return ((step - 1) * rounds + number) * prompts


def shuffled_tasks(tasks: Sequence[Task], first: int, count: int, seed: int) -> list[Task]:
    """List the tasks of `count` places of the shuffle."""
    return [tasks[shuffled_index(len(tasks), place, seed)] for place in range(first, first + count)]


def group_requests(
    drawn: Sequence[Task],
    step: int,
    first: int,
    group_size: int,
    seed: int,
    temperature: float,
    top_p: float = 1.0,
    top_k: int | None = None,
) -> list[RolloutRequest]:
    """List the P * G requests for P drawn tasks, whose places begin at `first`: each G times, each with a seed."""
    return [
        RolloutRequest(
            task,
            seed=derive_seed(seed, place, member),
            group_id=f"{step}-{place}",
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
        )
        for place, task in enumerate(drawn, first)
        for member in range(group_size)
    ]


def shuffled_index(size: int, place: int, seed: int) -> int:
    """Return the task that the `place`-th draw takes: every epoch is a fresh permutation of all tasks."""
    return _permutation(size, f"tasks/{seed}/{place // size}")[place % size]


@lru_cache(maxsize=2)
def _permutation(size: int, seed: str) -> list[int]:
    order = list(range(size))
    random.Random(seed).shuffle(order)
    return order


def as_groups(trajectories: Sequence[Trajectory], group_size: int) -> list[TrajectoryGroup]:
    """Put trajectories, in the order of their requests, into groups of G."""
    return [
        TrajectoryGroup(trajectories[i].task, list(trajectories[i : i + group_size]))
        for i in range(0, len(trajectories), group_size)
    ]
