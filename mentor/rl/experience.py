"""The trajectories that an RL step trains on, their tokens, and what models say of these before the first update."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mentor.algorithm.batch import PolicyBatch, TokenBatch, collate, sampler_logprobs
from mentor.algorithm.loss import token_weights
from mentor.policy import Policy
from mentor.policy.reference import Reference
from mentor.rl.advantages import zero_variance_group
from mentor.rl.settings import AlgorithmSettings
from mentor.types import Tokens, TrajectoryGroup


@dataclass(frozen=True)
class Experience:
    """members: (group, index in it) of each trajectory, numbered in this order in `tokens.trajectories`.

    The logprobs are (B, T) float32, over the rows of `tokens`: the rollout engine's, the policy's own before the step's
    first update (None where nothing asks for them), the reference model's (None without one).
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
        assigned = [group.advantages[member] for group, member in self.members]
        advantages = torch.tensor(assigned, dtype=torch.float32)[self.tokens.trajectories]
        numbers, counts = torch.unique_consecutive(self.tokens.trajectories, return_counts=True)
        rows_of = torch.arange(len(self.tokens)).split(counts.tolist())
        update = settings.update
        for epoch in range(update.epochs):
            order = list(range(len(numbers)))
            random.Random(f"{shuffle_seed}/{epoch}" if epoch else shuffle_seed).shuffle(order)
            for number in range(update.minibatches):
                if dealt := order[number :: update.minibatches]:
                    rows = torch.cat([rows_of[place] for place in dealt])
                    yield self._minibatch(rows, advantages[rows], settings)

    def _minibatch(self, rows: torch.Tensor, advantages: torch.Tensor, settings: AlgorithmSettings) -> PolicyBatch:
        tokens, update = self.tokens.take(rows), settings.update
        width = tokens.token_ids.shape[1]
        old, ref = self.old_logprobs, self.ref_logprobs
        return PolicyBatch(
            **vars(tokens),
            weights=token_weights(tokens.loss_mask, tokens.trajectories, update.loss_mean, update.max_tokens),
            advantages=advantages,
            sampler_logprobs=self.sampler_logprobs[rows, :width],
            old_logprobs=None if old is None else old[rows, :width],
            ref_logprobs=None if ref is None or not settings.loss.kl_coef else ref[rows, :width],
        )


def gather_experience(
    groups: Sequence[TrajectoryGroup],
    policy: Policy,
    reference: Reference | None,
    pad_id: int,
    settings: AlgorithmSettings,
) -> Experience:
    """Gather what a step trains on: no zero-variance groups, no ungraded or empty trajectories.

    The reference model, and with an importance correction the policy, score all of it once. Where sampling was
    truncated, the policy says here which tokens it drew from, and every logprob of the step is among these
    ("keep sampling mask", arXiv:2512.02556). The rollout engine's own set can differ where rounding moves a token over
    its border.
    """
    members = [
        (group, member)
        for group in groups
        if not zero_variance_group(group)
        for member, trajectory in enumerate(group.trajectories)
        if group.rewards[member].total is not None and trajectory.tokens is not None and trajectory.tokens.sampled
    ]
    records = [group.trajectories[member].tokens or Tokens() for group, member in members]
    tokens = collate(records, pad_id)
    old_logprobs = None
    if members and settings.truncation is not None:
        old_logprobs, kept = policy.truncated(tokens, settings.truncation)
        tokens = replace(tokens, kept=kept)
    elif members and settings.loss.importance_cap is not None:
        old_logprobs = policy.logprobs(tokens)
    return Experience(
        members,
        tokens,
        sampler_logprobs(records),
        old_logprobs,
        ref_logprobs=reference.logprobs(tokens) if members and reference is not None else None,
    )
