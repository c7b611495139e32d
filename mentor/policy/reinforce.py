"""One policy update of reinforcement learning: groups with their advantages to minibatches to optimiser steps."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch

from mentor.algorithm.advantage import zero_variance
from mentor.algorithm.batch import Batch, collate
from mentor.algorithm.loss import LossSettings, policy_loss
from mentor.policy.base import LossFunction, Policy, PolicyOutput, Reference
from mentor.types import Tokens, TrajectoryGroup


def make_loss_function(settings: LossSettings) -> LossFunction:
    """The clipped loss of a micro-batch, with the entropy beside it."""

    def loss_function(output: PolicyOutput, micro: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        trained = micro.loss_mask
        weights = micro.weights[trained]
        advantages = micro.advantages[:, None].expand(trained.shape)[trained]
        ref = None if micro.ref_logprobs is None else micro.ref_logprobs[trained]
        loss, stats = policy_loss(output.logprobs, micro.sampler_logprobs[trained], advantages, weights, settings, ref)
        return loss, {**stats, "policy/entropy": (output.entropies * weights).sum()}

    return loss_function


def trained_rows(groups: Sequence[TrajectoryGroup]) -> list[tuple[Tokens, float]]:
    """Token records and advantages of what teaches: not of groups of equal rewards, ungraded or empty trajectories."""
    return [
        (trajectory.tokens, advantage)
        for group in groups
        if not zero_variance([breakdown.total for breakdown in group.rewards])
        for trajectory, advantage in zip(group.trajectories, group.advantages, strict=True)
        if advantage is not None and trajectory.tokens is not None and trajectory.tokens.sampled
    ]


def update_policy(
    policy: Policy,
    reference: Reference | None,
    groups: Sequence[TrajectoryGroup],
    loss_function: LossFunction,
    *,
    minibatches: int,
    loss_mean: str,
    pad_id: int,
    shuffle_seed: str,
) -> dict[str, float]:
    """One optimiser step per minibatch; stats are means over the minibatches. No step where nothing teaches.

    `policy/mismatch_kl` is the first minibatch's `sampler_kl`: no update lies between it and the sampler, so all of it
    is the difference between the two engines' logprobs. `policy/tokens` counts real tokens, prompts included.
    """
    rows = trained_rows(groups)
    random.Random(shuffle_seed).shuffle(rows)
    all_stats: list[dict[str, float]] = []
    for part in (rows[i::minibatches] for i in range(minibatches)):
        if not part:
            continue
        batch = collate([tokens for tokens, _ in part], [advantage for _, advantage in part], pad_id, loss_mean)
        if reference is not None:
            batch = replace(batch, ref_logprobs=reference.logprobs(batch))
        all_stats.append(policy.update(batch, loss_function))
    counts = {
        "policy/updates": float(len(all_stats)),
        "policy/trajectories": float(len(rows)),
        "policy/tokens": float(sum(len(tokens) for tokens, _ in rows)),
    }
    if not all_stats:
        return counts
    means = {key: sum(stats[key] for stats in all_stats) / len(all_stats) for key in all_stats[0]}
    return {**means, "policy/mismatch_kl": all_stats[0]["policy/sampler_kl"], **counts}
