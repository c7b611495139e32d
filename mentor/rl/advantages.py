"""Advantages of groups, and which groups have any: dynamic sampling keeps the first P groups with a signal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mentor.algorithm.advantage import (
    AdvantageSettings,
    advantage_parts,
    batch_deviation,
    group_advantages,
    part_divisors,
    turn_advantages,
    zero_variance_group,
)
from mentor.types import TrajectoryGroup


def enough_signal(groups: Sequence[TrajectoryGroup], prompts: int, settings: AdvantageSettings) -> bool:
    """Whether at least P groups have a signal."""
    return sum(not zero_variance_group(group.rewards, settings) for group in groups) >= prompts


def drop_surplus(groups: Sequence[TrajectoryGroup], prompts: int, settings: AdvantageSettings) -> list[TrajectoryGroup]:
    """Leave out the groups with a signal beyond the P-th (dynamic sampling, arXiv:2503.14476, Eq. 11), in their order.

    The advantages of those are None. Fewer than P leave out nothing.
    """
    with_signal = [group for group in groups if not zero_variance_group(group.rewards, settings)]
    surplus = {id(group) for group in with_signal[prompts:]}
    for group in groups:
        if id(group) in surplus:
            group.advantages = [None] * len(group.trajectories)
            group.advantage_parts = [None] * len(group.trajectories)
    return [group for group in groups if id(group) not in surplus]


def assign_advantages(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> None:
    """Set the advantages of every group with their parts, all zero in a zero-variance group.

    Those of turns too, with `by_turn`, where rewards say what each turn earned. Where parts are normalised each by
    itself, all are divided by the deviation of the advantages of all groups that have any (GDPO, arXiv:2601.05242).
    """
    for group in groups:
        parts = [breakdown.contributions for breakdown in group.rewards]
        divisors = part_divisors(group.rewards, settings)
        group.advantage_parts = advantage_parts(parts, divisors, settings)
        if settings.by_part:
            group.advantages = [None if entry is None else math.fsum(entry.values()) for entry in group.advantage_parts]
        else:
            group.advantages = group_advantages([breakdown.total for breakdown in group.rewards], settings)
        if settings.by_turn:
            earned = [breakdown.earned for breakdown in group.rewards]
            turns = [trajectory.turns for trajectory in group.trajectories]
            group.turn_advantages = turn_advantages(parts, earned, turns, divisors, settings)
    if settings.by_part:
        _normalize_batch([group for group in groups if not zero_variance_group(group.rewards, settings)])


def _normalize_batch(groups: Sequence[TrajectoryGroup]) -> None:
    advantages = [advantage for group in groups for advantage in group.advantages if advantage is not None]
    if not advantages:
        return
    scale = batch_deviation(advantages)
    for group in groups:
        group.advantages = [None if advantage is None else advantage / scale for advantage in group.advantages]
        group.advantage_parts = [
            None if entry is None else {name: value / scale for name, value in entry.items()}
            for entry in group.advantage_parts
        ]
        group.turn_advantages = [
            None if entry is None else [value / scale for value in entry] for entry in group.turn_advantages
        ]
