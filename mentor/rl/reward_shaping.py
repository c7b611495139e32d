"""Reward shaping on groups, before advantages: terms that fade, the overlong penalty and the KL term in the reward."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from mentor.algorithm.shaping import kl_of_sequences, overlong_penalty
from mentor.rl.experience import Experience
from mentor.rl.settings import ShapingSettings
from mentor.types import TrajectoryGroup


def fade_guidance(groups: Sequence[TrajectoryGroup], settings: ShapingSettings, run_success: float | None) -> None:
    """Multiply the terms that fade by 1 - success / until, at least 0, and set `guidance` of every group to that.

    Success is the share of right answers among the group's graded ones, or run_success, that of the last steps (None
    before the first). A term's weight fades with it, so that one that is normalised by itself (GDPO) fades too.
    """
    anneal = settings.anneal
    if anneal is None:
        return
    for group in groups:
        right = [breakdown.correct for breakdown in group.rewards if breakdown.correct is not None]
        in_group = fmean(right) if right else None
        group.guidance = anneal.factor(run_success if anneal.by_run else in_group)
        group.rewards = [breakdown.scaled(anneal.terms, group.guidance) for breakdown in group.rewards]


def subtract_overlong(groups: Sequence[TrajectoryGroup], settings: ShapingSettings) -> None:
    """Subtract the overlong penalty from each reward, as its part `overlong`.

    A trajectory's length is all its tokens; of several segments those of the longest, since max_tokens bounds each.
    """
    if not settings.overlong_buffer_tokens:
        return
    for group in groups:
        for index, trajectory in enumerate(group.trajectories):
            length = trajectory.tokens.longest if trajectory.tokens is not None else 0
            share = overlong_penalty(length, settings.max_tokens, settings.overlong_buffer_tokens)
            penalty = settings.overlong_penalty
            group.rewards[index] = group.rewards[index].with_part("overlong", penalty * share, penalty)


def subtract_kl(experience: Experience, settings: ShapingSettings) -> dict[str, float]:
    """Subtract kl_coef * KL(policy || reference), summed over a trajectory's trained tokens, as the reward's part `kl`.

    The policy is the one that sampled: its recomputed logprobs where there are any, else the sampler's. Zero-variance
    groups are not in the experience: their rewards stay as they are. Returns `policy/kl`, the mean over trained tokens;
    nothing without a KL term in the reward, and where there is no experience.
    """
    if not settings.kl_coef or experience.ref_logprobs is None:
        return {}
    tokens = experience.tokens
    rows = kl_of_sequences(experience.sampled_by, experience.ref_logprobs, tokens.loss_mask, settings.kl_estimator)
    sums = rows.new_zeros(len(experience.members)).index_add(0, tokens.trajectories, rows)
    for (group, member), kl in zip(experience.members, sums.tolist(), strict=True):
        group.rewards[member] = group.rewards[member].with_part("kl", -settings.kl_coef * kl)
    return {"policy/kl": float(sums.sum()) / int(tokens.loss_mask.sum())}
