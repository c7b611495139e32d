"""One step of policy optimisation by the settings of a trainer: which groups it samples, and the update with them.

GRPO, Dr.GRPO, RLOO, DAPO and GSPO are settings of it (`trainer/algorithm=`, docs/algorithms.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.loss import LossSettings
from mentor.policy.base import Policy, Reference
from mentor.policy.ranks import Ranks
from mentor.policy.reinforce import (
    ShapingSettings,
    UpdateSettings,
    assign_advantages,
    charge_kl,
    charge_overlong,
    gather_experience,
    make_loss_function,
    teaches,
    update_policy,
)
from mentor.types import TrajectoryGroup


@dataclass(frozen=True)
class Method:
    """prompts: P, the groups a step wants. rounds: how often it may sample P of them until P teach something.

    The KL term is in the loss or in the rewards: at most one of shaping.kl_coef and loss.kl_coef is above 0.
    """

    advantage: AdvantageSettings
    shaping: ShapingSettings
    loss: LossSettings
    updating: UpdateSettings
    prompts: int
    pad_id: int
    rounds: int = 1

    def sample(
        self, source: Callable[[int], list[TrajectoryGroup]]
    ) -> tuple[list[TrajectoryGroup], list[TrajectoryGroup], dict[str, float]]:
        """All groups sampled, with their rewards; those for the update; and the metrics of choosing them.

        source: P scored groups, of the n-th round of this step (from 0). With more than one round (dynamic sampling,
        arXiv:2503.14476, Eq. 11) groups that teach beyond the P-th are dropped: their advantages are None. Where fewer
        than P teach after the last round, those are what there is.
        """
        groups: list[TrajectoryGroup] = []
        used = 0
        while used < self.rounds and sum(map(teaches, groups)) < self.prompts:
            new = source(used)
            charge_overlong(new, self.shaping)
            groups += new
            used += 1
        chosen, dropped = split_surplus(groups, self.prompts)
        for group in dropped:
            group.advantages = [None] * len(group.trajectories)
        metrics = {"rollout/rounds": float(used), "groups/dropped": len(dropped) / len(groups)}
        return groups, chosen, metrics if self.rounds > 1 else {}

    def update(
        self,
        policy: Policy,
        reference: Reference | None,
        groups: Sequence[TrajectoryGroup],
        shuffle_seed: str,
        ranks: Ranks | None = None,
    ) -> dict[str, float]:
        """Advantages for all groups, and the optimiser steps; returns the metrics of the update."""
        recompute = self.loss.importance_cap is not None
        experience = gather_experience(groups, policy, reference, self.pad_id, recompute)
        known: dict[str, float] = {}
        if self.shaping.kl_coef:
            known = charge_kl(experience, self.shaping.kl_coef, self.shaping.kl_estimator)
        assign_advantages(groups, self.advantage)
        loss_function = make_loss_function(self.loss)
        return known | update_policy(policy, experience, loss_function, self.updating, shuffle_seed, ranks)


def split_surplus(
    groups: Sequence[TrajectoryGroup], wanted: int
) -> tuple[list[TrajectoryGroup], list[TrajectoryGroup]]:
    """The groups without those that teach beyond the `wanted`-th, and those, both in their order."""
    surplus = {id(group) for group in [group for group in groups if teaches(group)][wanted:]}
    kept = [group for group in groups if id(group) not in surplus]
    return kept, [group for group in groups if id(group) in surplus]
