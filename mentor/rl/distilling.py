"""Ask the teacher of on-policy distillation about a step's tokens, and what tokens and metrics have from it."""

from __future__ import annotations

from dataclasses import replace

from mentor.algorithm.distillation import DistillSettings, distilled_advantages
from mentor.policy.teacher_model import ScoringTeacher
from mentor.rl.experience import Experience


def ask_teacher(experience: Experience, teacher: ScoringTeacher, settings: DistillSettings) -> Experience:
    """Let the teacher score all trained tokens once, for all epochs, and give them their advantages from it.

    The policy that is compared is the one that sampled: its recomputed logprobs where there are any, else the
    sampler's.
    Every trajectory's advantages go into its group (`TrajectoryGroup.distilled`), where they are stored from.
    """
    if not experience.members:
        return experience
    tokens, scores = experience.tokens, teacher.score(experience.tokens)
    experience = replace(experience, teacher=scores)
    if settings.in_loss:
        return experience
    advantages = settings.coef * distilled_advantages(
        experience.sampled_by, scores.logprobs, tokens.loss_mask, tokens.trajectories, settings.discount
    )
    for number, (group, member) in enumerate(experience.members):
        rows = tokens.trajectories == number
        group.distilled[member] = advantages[rows][tokens.loss_mask[rows]].tolist()
    return replace(experience, distilled=advantages)


def distillation_metrics(experience: Experience, settings: DistillSettings) -> dict[str, float]:
    """Compute `distill/kl`, the mean of log p_policy - log p_teacher over the sampled tokens, which estimates the
    reverse KL per token, and `distill/teacher_tokens`, the real tokens that the teacher was shown, prompts included.

    `distill/advantage_share`: the part of the sum of |advantage| that is distillation's, where it is an advantage.
    """
    if experience.teacher is None:
        return {"distill/teacher_tokens": 0.0}
    tokens, mask = experience.tokens, experience.tokens.loss_mask
    gaps = (experience.sampled_by - experience.teacher.logprobs)[mask]
    found = {"distill/kl": float(gaps.mean()), "distill/teacher_tokens": float(tokens.attention.sum())}
    if experience.distilled is None:
        return found
    distilled = experience.distilled[mask]
    rewarded = experience.token_advantages(settings)[mask] - distilled
    total = float(distilled.abs().sum() + rewarded.abs().sum())
    return {**found, "distill/advantage_share": float(distilled.abs().sum()) / total} if total else found
