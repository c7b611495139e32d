"""Update the policy on a step's experience: one optimiser step per minibatch and epoch, and its metrics."""

from __future__ import annotations

import torch

from mentor.algorithm.batch import PolicyBatch
from mentor.algorithm.loss import LossSettings, TrainedTokens, policy_loss
from mentor.policy import LossFunction, Policy, PolicyOutput
from mentor.policy.ranks import Ranks
from mentor.rl.experience import Experience
from mentor.rl.settings import AlgorithmSettings

MEANS = "ratio", "clip_frac", "sampler_kl", "kl", "entropy", "importance_capped", "dual_clip_frac"
TOKEN_MEANS = {f"policy/{name}" for name in MEANS} | {"distill/divergence"}
"""Stats of the loss that are means over trained tokens, where weights sum to 1."""


def make_loss_function(settings: LossSettings) -> LossFunction[PolicyBatch]:
    """Build the loss function of a micro-batch: `policy_loss` on its trained tokens."""

    def loss_function(output: PolicyOutput, micro: PolicyBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        assert output.entropies is not None  # an update computes them
        trained = micro.loss_mask
        tokens = TrainedTokens(
            sampler_logprobs=micro.sampler_logprobs[trained],
            advantages=micro.advantages[trained],
            weights=micro.weights[trained],
            rows=trained.nonzero()[:, 0],
            old_logprobs=None if micro.old_logprobs is None else micro.old_logprobs[trained],
            ref_logprobs=None if micro.ref_logprobs is None else micro.ref_logprobs[trained],
            teacher_logprobs=None if micro.teacher_logprobs is None else micro.teacher_logprobs[trained],
        )
        return policy_loss(output.logprobs, output.entropies, tokens, settings, output.listed_logprobs)

    return loss_function


class Mismatch:
    """A loss function that keeps the largest |policy - sampler logprob| of the tokens it is called with."""

    def __init__(self, loss_function: LossFunction[PolicyBatch]) -> None:
        self.loss_function = loss_function
        self.largest = 0.0

    def __call__(self, output: PolicyOutput, micro: PolicyBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        difference = (output.logprobs.detach() - micro.sampler_logprobs[micro.loss_mask]).abs()
        if len(difference):
            self.largest = max(self.largest, float(difference.max()))
        return self.loss_function(output, micro)


def update_policy(
    policy: Policy, experience: Experience, settings: AlgorithmSettings, shuffle_seed: str, ranks: Ranks
) -> dict[str, float]:
    """Take one optimiser step per minibatch and epoch; return the means of their stats. No step without experience.

    `policy/mismatch_kl` and `policy/mismatch_max` are the first minibatch's `sampler_kl`, and the largest difference of
    a logprob in it: no update lies between it and the rollout engine, so all of it is the difference between the two
    engines. `policy/tokens` counts real tokens, prompts included, once for every epoch.
    """
    counts = {
        "policy/updates": 0.0,
        "policy/trajectories": float(len(experience.members)),
        "policy/tokens": float(settings.update.epochs * int(experience.tokens.attention.sum())),
    }
    loss_function = make_loss_function(settings.loss)
    mismatch = Mismatch(loss_function)
    all_stats: list[dict[str, float]] = []
    for minibatch in experience.minibatches(settings, shuffle_seed):
        stats = policy.update(minibatch, loss_function if all_stats else mismatch)
        all_stats.append(_as_means(stats, minibatch) if settings.update.loss_mean == "constant" else stats)
    if not all_stats:
        return counts
    counts["policy/updates"] = float(len(all_stats))
    means = {key: sum(stats[key] for stats in all_stats) / len(all_stats) for key in all_stats[0]}
    largest = max(ranks.all_gather(mismatch.largest))
    first = {"policy/mismatch_kl": all_stats[0]["policy/sampler_kl"], "policy/mismatch_max": largest}
    return {**means, **first, **counts}


def _as_means(stats: dict[str, float], minibatch: PolicyBatch) -> dict[str, float]:
    """Turn stats under weights that do not sum to 1 into means."""
    total = float(minibatch.weights.sum())
    return {key: value / total if key in TOKEN_MEANS else value for key, value in stats.items()}
