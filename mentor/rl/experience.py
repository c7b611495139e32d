"""The trajectories that an RL step trains on, their tokens, and what models say of these before the first update."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mentor.algorithm.advantage import zero_variance_group
from mentor.algorithm.batch import PolicyBatch, TokenBatch, collate, sampler_logprobs, turn_values
from mentor.algorithm.loss import token_weights
from mentor.policy import Policy
from mentor.policy.reference import Reference
from mentor.rl.settings import AlgorithmSettings
from mentor.types import StopReason, Tokens, TrajectoryGroup

CUT = (StopReason.LENGTH, StopReason.MAX_TURNS)
"""How a trajectory ends that was not given the tokens or turns for a final turn."""


@dataclass(frozen=True)
class Experience:
    """members: (group, index in it) of each trajectory, numbered in this order in `tokens.trajectories`.

    The logprobs are (B, T) float32, over the rows of `tokens`: the rollout engine's, the policy's own before the step's
    first update (None where the sampler's stand for them), the reference model's (None without one).
    """

    members: list[tuple[TrajectoryGroup, int]]
    tokens: TokenBatch
    sampler_logprobs: torch.Tensor
    old_logprobs: torch.Tensor | None = None
    ref_logprobs: torch.Tensor | None = None

    def minibatches(self, settings: AlgorithmSettings, shuffle_seed: str) -> Iterator[PolicyBatch]:
        """Deal the trajectories of every epoch, shuffled anew, out to minibatches, each with all its rows.

        Call it once advantages are assigned. Weights are normalised within each minibatch.
        """
        advantages = self.token_advantages()
        for epoch in range(settings.update.epochs):
            for rows in deal(self.tokens.trajectories, settings.update.minibatches, shuffle_seed, epoch):
                yield self._minibatch(rows, advantages, settings)

    def token_advantages(self) -> torch.Tensor:
        """Give every token the advantage of its turn, or of its trajectory where turns have none: (B, T) float32."""
        records = [group.trajectories[member].tokens or Tokens() for group, member in self.members]
        return turn_values(records, [_advantages(group, member) for group, member in self.members])

    def _minibatch(self, rows: torch.Tensor, advantages: torch.Tensor, settings: AlgorithmSettings) -> PolicyBatch:
        tokens, update = self.tokens.take(rows), settings.update
        width = tokens.token_ids.shape[1]
        old, ref = self.old_logprobs, self.ref_logprobs
        return PolicyBatch(
            **vars(tokens),
            weights=token_weights(tokens.loss_mask, tokens.trajectories, update.loss_mean, update.max_tokens),
            advantages=advantages[rows, :width],
            sampler_logprobs=self.sampler_logprobs[rows, :width],
            old_logprobs=None if old is None else old[rows, :width],
            ref_logprobs=None if ref is None or not settings.loss.kl_coef else ref[rows, :width],
        )


def _advantages(group: TrajectoryGroup, member: int) -> list[float]:
    """Return the advantage of each turn, or the only one, of a trajectory that is trained on."""
    by_turn, whole = group.turn_advantages, group.advantages[member]
    values = by_turn[member] if by_turn else None if whole is None else [whole]
    assert values is not None
    return values


def deal(trajectories: torch.Tensor, minibatches: int, shuffle_seed: str, epoch: int) -> Iterator[torch.Tensor]:
    """Shuffle the trajectories of an epoch and deal them out: yield the rows (b,) of each minibatch that has any.

    trajectories: (B,), the number of each row's trajectory, whose rows follow each other.
    """
    _, counts = torch.unique_consecutive(trajectories, return_counts=True)
    rows_of = torch.arange(len(trajectories)).split(counts.tolist())
    order = list(range(len(rows_of)))
    random.Random(f"{shuffle_seed}/{epoch}" if epoch else shuffle_seed).shuffle(order)
    for number in range(minibatches):
        if dealt := order[number::minibatches]:
            yield torch.cat([rows_of[place] for place in dealt])


def gather_experience(
    groups: Sequence[TrajectoryGroup],
    policy: Policy,
    reference: Reference | None,
    pad_id: int,
    settings: AlgorithmSettings,
    shuffle_seed: str,
) -> Experience:
    """Gather what a step trains on: no zero-variance groups, no ungraded, empty or masked trajectories.

    The reference model, and where something asks for it the policy, score all of it once. Where sampling was truncated,
    the policy says here which tokens it drew from, and every logprob of the step is among these ("keep sampling mask",
    arXiv:2512.02556). The rollout engine's own set can differ where rounding moves a token over its border.

    shuffle_seed: that the minibatches will be dealt out by.
    """
    members = [
        (group, member)
        for group in groups
        if not zero_variance_group(group.rewards, settings.advantage)
        for member, trajectory in enumerate(group.trajectories)
        if group.rewards[member].total is not None and trajectory.tokens is not None and trajectory.tokens.sampled
        if not (settings.update.mask_cut and trajectory.stop_reason in CUT)
    ]
    records = [group.trajectories[member].tokens or Tokens() for group, member in members]
    tokens = collate(records, pad_id)
    recompute, old_logprobs = settings.update.recompute, None
    if recompute or settings.truncation is not None:
        old_logprobs, kept = own_scores(policy, tokens, settings, shuffle_seed)
        tokens = replace(tokens, kept=kept)
    return Experience(
        members,
        tokens,
        sampler_logprobs(records),
        old_logprobs if recompute else None,
        ref_logprobs=reference.logprobs(tokens) if members and reference is not None else None,
    )


def own_scores(
    policy: Policy, tokens: TokenBatch, settings: AlgorithmSettings, shuffle_seed: str
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Compute the policy's logprobs (B, T) float32, and `TokenBatch.kept`, in the minibatches of the first epoch.

    The first update then runs the very same forward passes, so that its ratios are 1. In bfloat16 other shapes round
    otherwise, by more than GSPO's clip bounds.
    """
    truncation, shape = settings.truncation, tokens.loss_mask.shape
    logprobs = torch.zeros(shape)
    kept = None if truncation is None else torch.zeros(*shape, truncation.top_k, dtype=torch.int32)
    for rows in deal(tokens.trajectories, settings.update.minibatches, shuffle_seed, epoch=0):
        part = tokens.take(rows)
        width = part.token_ids.shape[1]
        if truncation is None or kept is None:
            logprobs[rows, :width] = policy.logprobs(part)
        else:
            logprobs[rows, :width], kept[rows, :width] = policy.truncated(part, truncation)
    return logprobs, kept
