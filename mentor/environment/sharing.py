"""Rollouts and rewards of a step over several processes: each does its share, all end up with all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mentor.environment.rollout import Environment, RolloutRequest
from mentor.policy.ranks import Ranks
from mentor.policy.sharing import consecutive_shares
from mentor.types import RewardBreakdown, Trajectory, TrajectoryGroup


class Reward(Protocol):
    def score(self, trajectories: Sequence[Trajectory]) -> list[RewardBreakdown]: ...


def shared_rollout(
    environment: Environment, requests: Sequence[RolloutRequest], expected_tokens: Sequence[int], ranks: Ranks
) -> list[Trajectory]:
    """One trajectory per request, in their order. expected_tokens: of each, to share them out evenly."""
    mine = consecutive_shares(expected_tokens, ranks.size)[ranks.rank]
    shares = ranks.gather(environment.rollout([requests[index] for index in mine]))
    return [trajectory for share in shares for trajectory in share]


def shared_scores(reward: Reward, groups: Sequence[TrajectoryGroup], ranks: Ranks) -> list[list[RewardBreakdown]]:
    """The rewards of each group, a group being scored by one process."""
    shares = ranks.gather([reward.score(group.trajectories) for group in groups[ranks.rank :: ranks.size]])
    return [shares[index % ranks.size][index // ranks.size] for index in range(len(groups))]
