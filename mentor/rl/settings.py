"""The algorithm of an RL run as settings: GRPO, Dr.GRPO, RLOO, DAPO and GSPO are values of it (docs/algorithms.md)."""

from __future__ import annotations

from dataclasses import dataclass

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.loss import LossSettings
from mentor.policy import Truncation


@dataclass(frozen=True)
class AnnealSettings:
    """Reward terms that fade with success. terms: their names. by_run: the run's success, else that of each group.

    until: the share of right answers from which on they count nothing.
    """

    terms: frozenset[str]
    by_run: bool
    until: float = 1.0

    def factor(self, success: float | None) -> float:
        """Return max(0, 1 - success / until), what the terms are multiplied by; 1 where no success is known."""
        return 1.0 if success is None else max(0.0, 1.0 - success / self.until)


@dataclass(frozen=True)
class ShapingSettings:
    """What changes rewards before advantages. max_tokens: of a trajectory. kl_coef: of KL in the reward.

    anneal: None where no term fades.
    """

    max_tokens: int
    overlong_buffer_tokens: int = 0
    overlong_penalty: float = 1.0
    kl_coef: float = 0.0
    kl_estimator: str = "k3"
    anneal: AnnealSettings | None = None


@dataclass(frozen=True)
class UpdateSettings:
    """epochs: passes over the step's trajectories, `minibatches` optimiser steps each. max_tokens: of a trajectory.

    recompute: the policy computes the old logprobs before the step's first update; otherwise they are the sampler's.
    mask_cut: trajectories that ran out of tokens or turns are not trained on.
    """

    minibatches: int
    max_tokens: int
    epochs: int = 1
    loss_mean: str = "token"
    recompute: bool = False
    mask_cut: bool = False


@dataclass(frozen=True)
class AlgorithmSettings:
    """prompts: P, the groups with a signal that a step wants. rounds: the most sampling rounds it may take for them.

    truncation: of the sampling, None where tokens are drawn from all.
    The KL term is in the loss or in the reward: at most one of shaping.kl_coef and loss.kl_coef is above 0.
    """

    advantage: AdvantageSettings
    shaping: ShapingSettings
    loss: LossSettings
    update: UpdateSettings
    prompts: int
    rounds: int = 1
    truncation: Truncation | None = None
