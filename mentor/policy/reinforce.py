"""The update of one step of reinforcement learning: groups with their rewards to shaped rewards, advantages, minibatches
and optimiser steps."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mentor.algorithm.advantage import AdvantageSettings, group_advantages, zero_variance
from mentor.algorithm.batch import Batch, collate
from mentor.algorithm.loss import LossSettings, TrainedTokens, policy_loss, token_weights
from mentor.algorithm.shaping import kl_of_sequences, overlong_penalty
from mentor.policy.base import LossFunction, Policy, PolicyOutput, Reference
from mentor.types import Tokens, TrajectoryGroup


@dataclass(frozen=True)
class ShapingSettings:
    """What is taken from rewards before advantages. max_tokens: of a trajectory. kl_coef: of KL in the reward, or 0."""

    max_tokens: int
    overlong_buffer_tokens: int = 0
    overlong_penalty: float = 1.0
    kl_coef: float = 0.0
    kl_estimator: str = "k3"


@dataclass(frozen=True)
class UpdateSettings:
    """epochs passes of `minibatches` optimiser steps. importance: recompute old logprobs before the first of them."""

    minibatches: int
    pad_id: int
    epochs: int = 1
    loss_mean: str = "token"
    max_tokens: int | None = None
    importance: bool = False


def make_loss_function(settings: LossSettings) -> LossFunction:
    """`policy_loss` on a micro-batch."""

    def loss_function(output: PolicyOutput, micro: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        trained = micro.loss_mask
        tokens = TrainedTokens(
            sampler_logprobs=micro.sampler_logprobs[trained],
            advantages=micro.advantages[:, None].expand(trained.shape)[trained],
            weights=micro.weights[trained],
            rows=trained.nonzero()[:, 0],
            old_logprobs=None if micro.old_logprobs is None else micro.old_logprobs[trained],
            ref_logprobs=None if micro.ref_logprobs is None else micro.ref_logprobs[trained],
        )
        return policy_loss(output.logprobs, output.entropies, tokens, settings)

    return loss_function


def shape_rewards(groups: Sequence[TrajectoryGroup], settings: ShapingSettings) -> None:
    """Take the overlong penalty from each reward, as its part `overlong`."""
    if not settings.overlong_buffer_tokens:
        return
    for group in groups:
        for index, trajectory in enumerate(group.trajectories):
            length = len(trajectory.tokens) if trajectory.tokens is not None else 0
            share = overlong_penalty(length, settings.max_tokens, settings.overlong_buffer_tokens)
            group.rewards[index] = group.rewards[index].with_part("overlong", settings.overlong_penalty * share)


def take_kl_from_rewards(
    groups: Sequence[TrajectoryGroup],
    reference: Reference,
    settings: ShapingSettings,
    pad_id: int,
    policy: Policy | None = None,
) -> None:
    """Take kl_coef * KL(policy || reference), summed over its tokens, from each reward, as its part `kl`.

    The policy's logprobs are the sampler's, or recomputed by `policy` where it is given.
    """
    places = [(group, i) for group in groups for i, t in enumerate(group.trajectories) if t.tokens and t.tokens.sampled]
    if not places:
        return
    tokens = [group.trajectories[i].tokens or Tokens() for group, i in places]
    batch = collate(tokens, [0.0] * len(tokens), pad_id, "token")
    own = batch.sampler_logprobs if policy is None else policy.logprobs(batch)
    sums = kl_of_sequences(own, reference.logprobs(batch), batch.loss_mask, settings.kl_estimator)
    for (group, index), kl in zip(places, sums.tolist(), strict=True):
        group.rewards[index] = group.rewards[index].with_part("kl", -settings.kl_coef * kl)


def assign_advantages(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> None:
    for group in groups:
        group.advantages = group_advantages([breakdown.total for breakdown in group.rewards], settings)


def teaches(group: TrajectoryGroup) -> bool:
    """Whether a group's rewards differ, so that its trajectories have advantages."""
    return not zero_variance([breakdown.total for breakdown in group.rewards])


def trained_rows(groups: Sequence[TrajectoryGroup]) -> list[tuple[Tokens, float]]:
    """Token records and advantages of what teaches: not of groups of equal rewards, ungraded or empty trajectories."""
    return [
        (trajectory.tokens, advantage)
        for group in groups
        if teaches(group)
        for trajectory, advantage in zip(group.trajectories, group.advantages, strict=True)
        if advantage is not None and trajectory.tokens is not None and trajectory.tokens.sampled
    ]


def update_policy(
    policy: Policy,
    reference: Reference | None,
    groups: Sequence[TrajectoryGroup],
    loss_function: LossFunction,
    settings: UpdateSettings,
    shuffle_seed: str,
) -> dict[str, float]:
    """One optimiser step per minibatch and epoch; stats are means over them. No step where nothing teaches.

    reference: of a KL term in the loss. `policy/mismatch_kl` is the first minibatch's `sampler_kl`: no update lies
    between it and the sampler, so all of it is the difference between the two engines' logprobs; `policy/mismatch_max`,
    known with truncated importance sampling, is the largest of them on one token. `policy/tokens` counts real tokens,
    prompts included.
    """
    rows = trained_rows(groups)
    counts = {
        "policy/updates": 0.0,
        "policy/trajectories": float(len(rows)),
        "policy/tokens": float(sum(len(tokens) for tokens, _ in rows)),
    }
    if not rows:
        return counts
    batch = collate([tokens for tokens, _ in rows], [advantage for _, advantage in rows], settings.pad_id, "token")
    if reference is not None:
        batch.ref_logprobs = reference.logprobs(batch)
    if settings.importance:
        batch.old_logprobs = policy.logprobs(batch)
        difference = (batch.old_logprobs - batch.sampler_logprobs).abs() * batch.loss_mask
        counts["policy/mismatch_max"] = float(difference.max())
    all_stats = [policy.update(part, loss_function) for part in minibatches(batch, settings, shuffle_seed)]
    means = {key: sum(stats[key] for stats in all_stats) / len(all_stats) for key in all_stats[0]}
    counts["policy/updates"] = float(len(all_stats))
    return {**means, "policy/mismatch_kl": all_stats[0]["policy/sampler_kl"], **counts}


def minibatches(batch: Batch, settings: UpdateSettings, shuffle_seed: str) -> Iterator[Batch]:
    """The rows of every epoch in an order of its own, dealt out to minibatches; weights are counted within each."""
    lengths = batch.attention.sum(1)
    for epoch in range(settings.epochs):
        order = list(range(len(batch)))
        random.Random(f"{shuffle_seed}/{epoch}" if epoch else shuffle_seed).shuffle(order)
        for number in range(settings.minibatches):
            rows = torch.tensor(order[number :: settings.minibatches], dtype=torch.long)
            if len(rows):
                part = batch.take(rows, int(lengths[rows].max()))
                part.weights = token_weights(part.loss_mask, settings.loss_mean, settings.max_tokens)
                yield part
