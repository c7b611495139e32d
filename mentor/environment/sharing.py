"""Scored groups of a step over several processes: each rolls out and scores its share, all end up with all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from mentor.environment.groups import as_groups, group_requests
from mentor.environment.rollout import Environment, RolloutRequest
from mentor.policy.ranks import Ranks
from mentor.policy.sharing import consecutive_shares
from mentor.progress import phase
from mentor.types import RewardBreakdown, Task, Trajectory, TrajectoryGroup


class Reward(Protocol):
    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]: ...


@dataclass
class GroupSource:
    """Groups of `group_size` trajectories for `prompts` tasks at a time, scored.

    rounds: how often a step may ask. expected_tokens: of a trajectory for a task, to share rollouts out evenly.
    seconds: spent so far in rollouts and in scoring.
    """

    environment: Environment
    reward: Reward
    tasks: Sequence[Task]
    expected_tokens: Callable[[str], int]
    ranks: Ranks
    prompts: int
    group_size: int
    seed: int
    temperature: float
    rounds: int = 1
    seconds: dict[str, float] = field(default_factory=lambda: {"rollout": 0.0, "reward": 0.0})

    def sample(self, step: int, number: int) -> list[TrajectoryGroup]:
        """Of the step's sampling round `number`, from 0."""
        began = perf_counter()
        requests = group_requests(
            self.tasks, step, self.prompts, self.group_size, self.seed, self.temperature, number, self.rounds
        )
        with phase("rollout"):
            groups = as_groups(self._trajectories(requests), self.group_size)
        rolled_out = perf_counter()
        with phase("reward"):
            for group, rewards in zip(groups, self._rewards(groups), strict=True):
                group.rewards = rewards
        self.seconds["rollout"] += rolled_out - began
        self.seconds["reward"] += perf_counter() - rolled_out
        return groups

    def _trajectories(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        """One per request, in their order."""
        costs = [self.expected_tokens(request.task.id) for request in requests]
        mine = consecutive_shares(costs, self.ranks.size)[self.ranks.rank]
        shares = self.ranks.gather(self.environment.rollout([requests[index] for index in mine]))
        return [trajectory for share in shares for trajectory in share]

    def _rewards(self, groups: Sequence[TrajectoryGroup]) -> list[list[RewardBreakdown]]:
        """Of each group, which one process scores."""
        rank, size = self.ranks.rank, self.ranks.size
        shares = self.ranks.gather([self.reward.score(group.trajectories) for group in groups[rank::size]])
        return [shares[index % size][index // size] for index in range(len(groups))]
