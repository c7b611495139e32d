"""The trajectories that an RL step trains on, their tokens, and what models say of these before the first update."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mentor.algorithm.advantage import zero_variance_group
from mentor.algorithm.batch import PolicyBatch, TokenBatch, collate, sampler_logprobs, turn_values
from mentor.algorithm.distillation import NO_TEACHER, DistillSettings
from mentor.algorithm.loss import token_weights
from mentor.policy import Policy
from mentor.policy.reference import Reference
from mentor.policy.teacher_model import TeacherScores
from mentor.rl.settings import AlgorithmSettings
from mentor.types import StopReason, Tokens, TrajectoryGroup

CUT = (StopReason.LENGTH, StopReason.MAX_TURNS)
"""How a trajectory ends that was not given the tokens or turns for a final turn."""


@dataclass(frozen=True)
class Experience:
    """members: (group, index in it) of each trajectory, numbered in this order in `tokens.trajectories`.

    The logprobs are (B, T) float32, over the rows of `tokens`: the rollout engine's, the policy's own before the step's
    first update (None where the sampler's stand for them), the reference model's (None without one). teacher: what it
    says of the trained tokens, None without distillation. distilled: (B, T) float32, the advantages that tokens have
    from it, None where it is in the loss or nowhere.
    """

    members: list[tuple[TrajectoryGroup, int]]
    tokens: TokenBatch
    sampler_logprobs: torch.Tensor
    old_logprobs: torch.Tensor | None = None
    ref_logprobs: torch.Tensor | None = None
    teacher: TeacherScores | None = None
    distilled: torch.Tensor | None = None

    @property
    def sampled_by(self) -> torch.Tensor:
        """The logprobs of the policy that sampled: recomputed where they are, else the rollout engine's."""
        return self.sampler_logprobs if self.old_logprobs is None else self.old_logprobs

    def minibatches(self, settings: AlgorithmSettings, shuffle_seed: str) -> Iterator[PolicyBatch]:
        """Deal the trajectories of every epoch, shuffled anew, out to minibatches, each with all its rows.

        Call it once advantages are assigned. Weights are normalised within each minibatch.
        """
        advantages = self.token_advantages(settings.loss.distill)
        for epoch in range(settings.update.epochs):
            for rows in deal(self.tokens.trajectories, settings.update.minibatches, shuffle_seed, epoch):
                yield self._minibatch(rows, advantages, settings)

    def token_advantages(self, distill: DistillSettings = NO_TEACHER) -> torch.Tensor:
        """Give every token the advantage of its turn, or of its trajectory where turns have none, and what it has from
        a teacher: (B, T) float32.
        """
        records = [group.trajectories[member].tokens or Tokens() for group, member in self.members]
        rewarded = turn_values(records, [_advantages(group, member) for group, member in self.members])
        if self.teacher is None:
            return rewarded
        return distill.reward_coef * rewarded + (0.0 if self.distilled is None else self.distilled)

    def _minibatch(self, rows: torch.Tensor, advantages: torch.Tensor, settings: AlgorithmSettings) -> PolicyBatch:
        tokens, update = self.tokens.take(rows), settings.update
        width = tokens.token_ids.shape[1]
        old, ref = self.old_logprobs, self.ref_logprobs
        _, listed, teacher_logprobs = self.teacher or (None, None, None)
        return PolicyBatch(
            **{**vars(tokens), "listed": None if listed is None else listed[rows, :width]},
            weights=token_weights(tokens.loss_mask, tokens.trajectories, update.loss_mean, update.max_tokens),
            advantages=advantages[rows, :width],
            sampler_logprobs=self.sampler_logprobs[rows, :width],
            old_logprobs=None if old is None else old[rows, :width],
            ref_logprobs=None if ref is None or not settings.loss.kl_coef else ref[rows, :width],
            teacher_logprobs=None if teacher_logprobs is None else teacher_logprobs[rows, :width],
        )


def _advantages(group: TrajectoryGroup, member: int) -> list[float]:
    """Return the advantage of each turn, or the only one, of a trajectory that is trained on.

    One whose reward was not graded has none, and is trained on for what a teacher says alone.
    """
    by_turn, whole = group.turn_advantages, group.advantages[member]
    values = by_turn[member] if by_turn else None if whole is None else [whole]
    return [0.0] if values is None else values


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
    """Gather what a step trains on: no empty or masked trajectories, and but for distillation no zero-variance groups
    and no ungraded trajectories.

    The reference model, and where something asks for it the policy, score all of it once. Where sampling was truncated,
    the policy says here which tokens it drew from, and every logprob of the step is among these ("keep sampling mask",
    arXiv:2512.02556). The rollout engine's own set can differ where rounding moves a token over its border.

    shuffle_seed: that the minibatches will be dealt out by.
    """
    taught = settings.loss.distill.coef > 0  # a teacher has something to say of every trajectory
    members = [
        (group, member)
        for group in groups
        if taught or not zero_variance_group(group.rewards, settings.advantage)
        for member, trajectory in enumerate(group.trajectories)
        if taught or group.rewards[member].total is not None
        if trajectory.tokens is not None and trajectory.tokens.sampled
        if not (settings.update.mask_cut and trajectory.stop_reason in CUT)
    ]
    records = [group.trajectories[member].tokens or Tokens() for group, member in members]
    tokens = collate(records, pad_id)
    if members:
        policy.see_first(tokens)
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
