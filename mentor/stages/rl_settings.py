"""How stage=rl trains, from the settings of its trainer: the steps, the algorithm, and the most that it may spend."""

from __future__ import annotations

from dataclasses import replace

from mentor.algorithm.advantage import AdvantageSettings
from mentor.algorithm.distillation import NO_TEACHER, DistillSettings
from mentor.algorithm.loss import LossSettings
from mentor.config import DistillConfig, RewardConfig, RlTrainer, SamplerConfig
from mentor.errors import InputError
from mentor.policy import Truncation
from mentor.reward_keys import guidance_terms
from mentor.rl.settings import AlgorithmSettings, AnnealSettings, ShapingSettings, UpdateSettings


def with_steps(trainer: RlTrainer, tasks: int) -> RlTrainer:
    """Turn `trainer.task_epochs`, where it is set, into the whole steps that fit in them, one at least.

    Raises InputError where the warm-up is longer than all of them.
    """
    if trainer.task_epochs is None:
        return trainer
    drawn = trainer.prompts_per_step * trainer.max_sampling_rounds  # places in the order of tasks that a step takes
    trainer = replace(trainer, steps=max(1, int(trainer.task_epochs * tasks / drawn)))
    if trainer.warmup_steps > trainer.optimizer_steps:
        raise InputError(
            f"trainer.warmup_steps={trainer.warmup_steps} is more than the {trainer.optimizer_steps} optimiser steps "
            f"of trainer.task_epochs={trainer.task_epochs:g} on {tasks} tasks"
        )
    return trainer


def algorithm_settings(
    trainer: RlTrainer,
    sampling: SamplerConfig,
    distill: DistillConfig | None = None,
    reward: RewardConfig | None = None,
) -> AlgorithmSettings:
    """Read the algorithm from the trainer, how tokens are drawn, how a teacher counts, and which reward terms fade."""
    max_tokens = sampling.max_tokens
    in_reward = trainer.kl_placement == "reward"
    return AlgorithmSettings(
        AdvantageSettings(
            trainer.advantage, trainer.normalize_std, trainer.aggregation, by_turn=trainer.credit == "turn"
        ),
        ShapingSettings(
            max_tokens,
            trainer.overlong_buffer_tokens,
            trainer.overlong_penalty,
            kl_coef=trainer.kl_coef if in_reward else 0.0,
            kl_estimator=trainer.kl_estimator,
            anneal=_annealing(reward) if reward is not None else None,
        ),
        LossSettings(
            trainer.clip_low,
            trainer.clip_high,
            kl_coef=0.0 if in_reward else trainer.kl_coef,
            kl_estimator=trainer.kl_estimator,
            ratio=trainer.ratio,
            entropy_coef=trainer.entropy_coef,
            importance_cap=trainer.importance_cap,
            dual_clip=trainer.dual_clip,
            distill=_distillation(distill) if distill is not None else NO_TEACHER,
        ),
        UpdateSettings(
            trainer.minibatches,
            max_tokens,
            trainer.epochs,
            trainer.loss_mean,
            recompute=trainer.old_logprobs == "policy",
            mask_cut=trainer.mask_cut,
        ),
        prompts=trainer.prompts_per_step,
        rounds=trainer.max_sampling_rounds,
        truncation=Truncation(sampling.top_k, sampling.top_p) if sampling.top_k is not None else None,
    )


def _annealing(reward: RewardConfig) -> AnnealSettings | None:
    """Return which terms fade and how; None where none does."""
    names = frozenset(guidance_terms(reward.terms))
    if reward.anneal == "none" or not names:
        return None
    return AnnealSettings(names, by_run=reward.anneal == "run", until=reward.anneal_until)


def _distillation(distill: DistillConfig) -> DistillSettings:
    return DistillSettings(
        distill.coef,
        distill.reward_coef,
        distill.placement,
        distill.discount,
        distill.divergence,
        distill.top_k,
        distill.jsd_beta,
    )


def budget(trainer: RlTrainer, sampling: SamplerConfig, tasks: int, start: int) -> str:
    """Say the most the stage may spend, in steps, epochs and tokens."""
    rounds = trainer.max_sampling_rounds
    prompts = trainer.steps * rounds * trainer.prompts_per_step
    often = f"up to {rounds} times " if rounds > 1 else ""
    return (
        f"budget: {trainer.steps} steps ({start} done) of {often}{trainer.prompts_per_step} x {trainer.group_size} "
        f"trajectories on {tasks} tasks ({prompts / tasks:,.1f} epochs), {prompts * trainer.group_size:,} in all, "
        f"each of at most {sampling.max_tokens:,} tokens"
    )
