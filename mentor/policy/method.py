"""One step of policy optimisation by the settings of a trainer: which groups are sampled, how they are weighed, and the
update. GRPO, Dr.GRPO, RLOO, DAPO and GSPO are settings of it (`trainer/algorithm=`, docs/algorithms.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.loss import LossSettings
from mentor.policy.base import Policy, Reference
from mentor.policy.reinforce import (
    ShapingSettings,
    UpdateSettings,
    assign_advantages,
    make_loss_function,
    shape_rewards,
    take_kl_from_rewards,
    teaches,
    update_policy,
)
from mentor.types import TrajectoryGroup


@dataclass(frozen=True)
class Method:
    """rounds: how often a step may sample `prompts` groups until as many of them teach something.

    kl_coef: of the KL term, which is in the loss or, with `kl_in_reward`, in the rewards.
    """

    advantage: AdvantageSettings
    shaping: ShapingSettings
    loss: LossSettings
    update_settings: UpdateSettings
    prompts: int
    rounds: int = 1
    kl_in_reward: bool = False

    def sample(
        self,
        source: Callable[[int], list[TrajectoryGroup]],
        policy: Policy,
        reference: Reference | None,
    ) -> tuple[list[TrajectoryGroup], list[TrajectoryGroup], dict[str, float]]:
        """All groups sampled, with rewards and advantages, those to train on, and the metrics of choosing them.

        source: scored groups of the n-th round of this step. With more than one round (dynamic sampling,
        arXiv:2503.14476, section 3.2) the first `prompts` groups that teach are trained on.
        """
        groups: list[TrajectoryGroup] = []
        used = 0
        for used in range(1, self.rounds + 1):
            new = source(used - 1)
            shape_rewards(new, self.shaping)
            if self.kl_in_reward and reference is not None:
                recomputed = policy if self.update_settings.importance else None
                take_kl_from_rewards(new, reference, self.shaping, self.update_settings.pad_id, recomputed)
            assign_advantages(new, self.advantage)
            groups += new
            if sum(map(teaches, groups)) >= self.prompts:
                break
        if self.rounds == 1:
            return groups, groups, {}
        teaching = [group for group in groups if teaches(group)]
        chosen = teaching[: self.prompts]
        return groups, chosen, {"groups/rounds": used, "groups/left_over": len(teaching) - len(chosen)}

    def update(
        self, policy: Policy, reference: Reference | None, groups: Sequence[TrajectoryGroup], shuffle_seed: str
    ) -> dict[str, float]:
        in_loss = None if self.kl_in_reward else reference
        settings = replace(self.loss, kl_coef=0.0) if in_loss is None else self.loss
        return update_policy(policy, in_loss, groups, make_loss_function(settings), self.update_settings, shuffle_seed)
