"""Advantages of groups, and which groups have any: dynamic sampling keeps the first P groups with a signal."""

from __future__ import annotations

from collections.abc import Sequence

from mentor.algorithm.advantage import AdvantageSettings, group_advantages, zero_variance
from mentor.types import TrajectoryGroup


def zero_variance_group(group: TrajectoryGroup) -> bool:
    """Whether a group's rewards are all equal, so that no trajectory of it has an advantage."""
    return zero_variance([breakdown.total for breakdown in group.rewards])


def enough_signal(groups: Sequence[TrajectoryGroup], prompts: int) -> bool:
    """Whether at least P groups have rewards that differ."""
    return sum(not zero_variance_group(group) for group in groups) >= prompts


def drop_surplus(groups: Sequence[TrajectoryGroup], prompts: int) -> list[TrajectoryGroup]:
    """Leave out the groups with a signal beyond the P-th (dynamic sampling, arXiv:2503.14476, Eq. 11), in their order.

    The advantages of those are None. Fewer than P leave out nothing.
    """
    surplus = {id(group) for group in [group for group in groups if not zero_variance_group(group)][prompts:]}
    for group in groups:
        if id(group) in surplus:
            group.advantages = [None] * len(group.trajectories)
    return [group for group in groups if id(group) not in surplus]


def assign_advantages(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> None:
    """Set the advantages of every group, all zero in a zero-variance group."""
    for group in groups:
        group.advantages = group_advantages([breakdown.total for breakdown in group.rewards], settings)
