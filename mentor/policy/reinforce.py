"""What one step of reinforcement learning learns from, and its update.

Groups that teach to one batch, what is taken from rewards, advantages, minibatches, optimiser steps.
"""

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
from mentor.policy.ranks import Ranks
from mentor.types import Tokens, TrajectoryGroup

TOKEN_MEANS = {f"policy/{name}" for name in ("ratio", "clip_frac", "sampler_kl", "kl", "entropy", "importance_capped")}
"""Stats of the loss that are means over trained tokens, where weights sum to 1."""


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
    """epochs: passes over the batch, each of `minibatches` optimiser steps. max_tokens: of a trajectory."""

    minibatches: int
    max_tokens: int
    epochs: int = 1
    loss_mean: str = "token"


@dataclass
class Experience:
    """The trajectories a step learns from, as (group, member), and their batch, numbered in this order.

    Its logprobs are from before the step's first update. Weights and advantages come later.
    """

    places: list[tuple[TrajectoryGroup, int]]
    batch: Batch


def teaches(group: TrajectoryGroup) -> bool:
    """Whether a group's rewards differ, so that its trajectories have advantages."""
    return not zero_variance([breakdown.total for breakdown in group.rewards])


def charge_overlong(groups: Sequence[TrajectoryGroup], settings: ShapingSettings) -> None:
    """Take the overlong penalty from each reward, as its part `overlong`.

    A trajectory's length is all its tokens; of several segments those of the longest, since max_tokens bounds each.
    """
    if not settings.overlong_buffer_tokens:
        return
    for group in groups:
        for index, trajectory in enumerate(group.trajectories):
            length = trajectory.tokens.longest if trajectory.tokens is not None else 0
            share = overlong_penalty(length, settings.max_tokens, settings.overlong_buffer_tokens)
            group.rewards[index] = group.rewards[index].with_part("overlong", settings.overlong_penalty * share)


def gather_experience(
    groups: Sequence[TrajectoryGroup], policy: Policy, reference: Reference | None, pad_id: int, recompute: bool
) -> Experience:
    """What teaches: nothing of groups of equal rewards, no ungraded or empty trajectories.

    recompute: also the policy's own logprobs, for `old_logprobs`. Both models are asked once, about all of it.
    """
    places = [
        (group, member)
        for group in groups
        if teaches(group)
        for member, trajectory in enumerate(group.trajectories)
        if group.rewards[member].total is not None and trajectory.tokens is not None and trajectory.tokens.sampled
    ]
    records = [group.trajectories[member].tokens or Tokens() for group, member in places]
    batch = collate(records, [0.0] * len(records), pad_id, "token")
    if places and reference is not None:
        batch.ref_logprobs = reference.logprobs(batch)
    if places and recompute:
        batch.old_logprobs = policy.logprobs(batch)
    return Experience(places, batch)


def charge_kl(experience: Experience, kl_coef: float, estimator: str) -> dict[str, float]:
    """Take kl_coef * KL(policy || reference), summed over a trajectory's trained tokens, from its reward: part `kl`.

    The policy is the one that sampled: its recomputed logprobs where there are any, else the sampler's. Groups of equal
    rewards are not in the experience, so they are left as they are and go on teaching nothing. The loss is left without
    a KL term. Returns `policy/kl`, the mean over trained tokens.
    """
    batch = experience.batch
    if batch.ref_logprobs is None:
        return {}
    own = batch.sampler_logprobs if batch.old_logprobs is None else batch.old_logprobs
    rows = kl_of_sequences(own, batch.ref_logprobs, batch.loss_mask, estimator)
    sums = rows.new_zeros(len(experience.places)).index_add(0, batch.trajectories, rows)
    for (group, member), kl in zip(experience.places, sums.tolist(), strict=True):
        group.rewards[member] = group.rewards[member].with_part("kl", -kl_coef * kl)
    batch.ref_logprobs = None
    return {"policy/kl": float(sums.sum()) / int(batch.loss_mask.sum())}


def assign_advantages(groups: Sequence[TrajectoryGroup], settings: AdvantageSettings) -> None:
    for group in groups:
        group.advantages = group_advantages([breakdown.total for breakdown in group.rewards], settings)


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


class Mismatch:
    """A loss function that notes the largest |policy - sampler logprob| of the tokens it is called with."""

    def __init__(self, loss_function: LossFunction) -> None:
        self.loss_function = loss_function
        self.largest = 0.0

    def __call__(self, output: PolicyOutput, micro: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        difference = (output.logprobs.detach() - micro.sampler_logprobs[micro.loss_mask]).abs()
        if len(difference):
            self.largest = max(self.largest, float(difference.max()))
        return self.loss_function(output, micro)


def update_policy(
    policy: Policy,
    experience: Experience,
    loss_function: LossFunction,
    settings: UpdateSettings,
    shuffle_seed: str,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """One optimiser step per minibatch and epoch; stats are means over them. No step where nothing teaches.

    `policy/mismatch_kl` and `policy/mismatch_max` are the first minibatch's `sampler_kl`, and the largest difference of
    a logprob in it: no update lies between it and the sampler, so all of it is the difference between the two engines.
    `policy/tokens` counts real tokens, prompts included, in every epoch anew.
    """
    places, batch = experience.places, experience.batch
    advantages = [group.advantages[member] for group, member in places]
    batch.advantages = torch.tensor(advantages, dtype=torch.float32)[batch.trajectories]
    counts = {
        "policy/updates": 0.0,
        "policy/trajectories": float(len(places)),
        "policy/tokens": float(settings.epochs * int(batch.attention.sum())),
    }
    mismatch = Mismatch(loss_function)
    all_stats: list[dict[str, float]] = []
    for part in minibatches(batch, settings, shuffle_seed):
        stats = policy.update(part, loss_function if all_stats else mismatch)
        all_stats.append(_as_means(stats, part) if settings.loss_mean == "constant" else stats)
    if not all_stats:
        return counts
    counts["policy/updates"] = float(len(all_stats))
    means = {key: sum(stats[key] for stats in all_stats) / len(all_stats) for key in all_stats[0]}
    largest = max((ranks or Ranks()).gather(mismatch.largest))
    known = {"policy/mismatch_kl": all_stats[0]["policy/sampler_kl"], "policy/mismatch_max": largest}
    return {**means, **known, **counts}


def minibatches(batch: Batch, settings: UpdateSettings, shuffle_seed: str) -> Iterator[Batch]:
    """The trajectories of every epoch in an order of its own, dealt out to minibatches with all their rows.

    Weights are counted within each minibatch.
    """
    lengths = batch.attention.sum(1)
    numbers, counts = torch.unique_consecutive(batch.trajectories, return_counts=True)
    rows_of = torch.arange(len(batch)).split(counts.tolist())
    for epoch in range(settings.epochs):
        order = list(range(len(numbers)))
        random.Random(f"{shuffle_seed}/{epoch}" if epoch else shuffle_seed).shuffle(order)
        for number in range(settings.minibatches):
            if dealt := order[number :: settings.minibatches]:
                rows = torch.cat([rows_of[place] for place in dealt])
                part = batch.take(rows, int(lengths[rows].max()))
                part.weights = token_weights(part.loss_mask, part.trajectories, settings.loss_mean, settings.max_tokens)
                yield part


def _as_means(stats: dict[str, float], minibatch: Batch) -> dict[str, float]:
    """With weights that do not sum to 1: what would be a mean with those that do."""
    total = float(minibatch.weights.sum())
    return {key: value / total if key in TOKEN_MEANS else value for key, value in stats.items()}
