"""The clipped policy-gradient loss (arXiv:2402.03300, Eq. 3; separate clip bounds: arXiv:2503.14476, Eq. 10).

L = -mean( w * min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A) )
    + kl_coef * mean(KL(policy || reference)) - entropy_coef * mean(entropy) + distill.coef * mean(divergence)

ratio = exp(policy - old logprob), one per token, or one per sequence: exp of the mean over its trained tokens (GSPO,
arXiv:2507.18071, Eq. 5 and 7; of a trajectory of several segments, one per segment). The old logprobs are those that
the sampler gave, or the policy's own before the step's first update. In the latter case an `importance_cap` corrects
for the difference between the two engines by w = min(exp(old - sampler logprob), importance_cap) (truncated importance
sampling; Yao et al. 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training"); like the ratio, w
is one per sequence with ratio=sequence. Without a cap w is 1. No gradient flows through w, and the KL and entropy terms
are without it. The divergence is that from a teacher, where it is in the loss (`algorithm/distillation.py`).

With a `dual_clip` c the surrogate of a negative advantage is bounded too: max(..., c * A), reached where the ratio is
above c (arXiv:1912.09729, Eq. 5).

The mean is over trained tokens (`token`), or over trajectories of each trajectory's token mean (`sequence`); `constant`
is the sum over trained tokens divided by (trajectories * max_tokens) (Dr.GRPO, arXiv:2503.20783). Normalisers are
counted over the whole minibatch and handed in as weights, so splitting it into micro-batches leaves the loss unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mentor.algorithm.distillation import NO_TEACHER, DistillSettings, token_divergence
from mentor.algorithm.kl import kl_divergence


@dataclass(frozen=True)
class LossSettings:
    """ratio: token or sequence. importance_cap: None corrects nothing. dual_clip: None bounds nothing.

    distill: its coef counts where the tokens come with a teacher's logprobs.
    """

    clip_low: float
    clip_high: float
    kl_coef: float = 0.0
    kl_estimator: str = "k3"
    ratio: str = "token"
    entropy_coef: float = 0.0
    importance_cap: float | None = None
    dual_clip: float | None = None
    distill: DistillSettings = NO_TEACHER


@dataclass(frozen=True)
class TrainedTokens:
    """What the loss needs beside the policy's own numbers, all (N,) over the trained tokens of a micro-batch.

    advantages: of each token. weights: from `token_weights`. rows: int64, the token's sequence (a row
    of the batch), of which all tokens are here. old_logprobs: the policy's before the step's first update; None where
    the sampler's stand for them. teacher_logprobs: (N, K), of the tokens whose policy's logprobs `policy_loss` gets
    too; None without a divergence from a teacher in the loss.
    """

    sampler_logprobs: torch.Tensor
    advantages: torch.Tensor
    weights: torch.Tensor
    rows: torch.Tensor
    old_logprobs: torch.Tensor | None = None
    ref_logprobs: torch.Tensor | None = None
    teacher_logprobs: torch.Tensor | None = None


def token_weights(
    loss_mask: torch.Tensor, trajectories: torch.Tensor, loss_mean: str, max_tokens: int | None = None
) -> torch.Tensor:
    """Compute the weight of each token in the loss: (B, T) float, zero where loss_mask (B, T) is False.

    trajectories: (B,), the number of each row's trajectory; one of several rows counts once. max_tokens: the most of a
    trajectory. The weights sum to 1 with `token` and `sequence`; with `constant` each is
    1 / (trajectories * max_tokens). A trajectory without a trained token is not counted.
    """
    mask = loss_mask.float()
    rows = mask.sum(1)
    _, place = torch.unique(trajectories, return_inverse=True)
    lengths = torch.zeros_like(rows).index_add(0, place, rows)  # of the trajectories, then zeros
    sequences = (lengths > 0).sum().clamp_min(1)
    if loss_mean == "token":
        return mask / lengths.sum().clamp_min(1)
    if loss_mean == "sequence":
        return mask / lengths[place][:, None].clamp_min(1) / sequences
    if loss_mean == "constant":
        if not max_tokens:
            raise ValueError(f"loss_mean=constant with max_tokens={max_tokens}, accepted: 1 or more")
        return mask / (sequences * max_tokens)
    raise ValueError(f"loss_mean={loss_mean}, accepted: token, sequence, constant")


def sequence_mean(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Give every token the mean of its sequence's values, with gradient to all of them. values, rows: (N,) -> (N,).

    The tokens of a sequence follow each other. Sums are taken over a padded (sequences, longest) tensor, so that they
    come out the same every time also on a GPU.
    """
    _, sequence, lengths = torch.unique_consecutive(rows, return_inverse=True, return_counts=True)
    if not len(lengths):
        return values
    inside = torch.arange(int(lengths.max()), device=rows.device) < lengths[:, None]
    padded = torch.zeros(inside.shape, dtype=values.dtype, device=values.device).masked_scatter(inside, values)
    return (padded.sum(1) / lengths)[:, None].expand(inside.shape)[inside]


def policy_loss(
    logprobs: torch.Tensor,
    entropies: torch.Tensor,
    tokens: TrainedTokens,
    settings: LossSettings,
    listed_logprobs: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Compute the loss, and weighted sums for the log. logprobs and entropies (nats): (N,), the policy's.

    listed_logprobs: (N, K), the policy's of the teacher's most likely tokens.

    Sums over the micro-batches of a minibatch give the minibatch's loss and means. `policy/ratio` and
    `policy/clip_frac` are of the ratio that is clipped; `policy/sampler_kl` is the k3 estimate of
    KL(sampler || policy); `policy/importance_capped` the share of tokens whose w is the cap;
    `policy/dual_clip_frac` the share that `dual_clip` bounds.
    """
    weights, advantages = tokens.weights, tokens.advantages
    stats: dict[str, torch.Tensor] = {}
    if settings.importance_cap is not None and tokens.old_logprobs is None:
        raise ValueError(f"importance_cap={settings.importance_cap} needs old_logprobs")
    old = tokens.sampler_logprobs if tokens.old_logprobs is None else tokens.old_logprobs
    ratio = torch.exp(_per_ratio(logprobs - old, tokens.rows, settings.ratio))
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    if settings.dual_clip is not None:
        bounded = (advantages < 0) & (ratio > settings.dual_clip)
        surrogate = torch.where(bounded, settings.dual_clip * advantages, surrogate)
        stats["policy/dual_clip_frac"] = (bounded.float() * weights).sum()
    if settings.importance_cap is not None:
        correction = torch.exp(_per_ratio(old - tokens.sampler_logprobs, tokens.rows, settings.ratio))
        surrogate = surrogate * correction.clamp_max(settings.importance_cap)
        stats["policy/importance_capped"] = ((correction > settings.importance_cap).float() * weights).sum()
    loss = -(surrogate * weights).sum()
    moved = (logprobs - tokens.sampler_logprobs).detach()
    stats |= {
        "policy/ratio": (ratio.detach() * weights).sum(),
        "policy/clip_frac": ((clipped * advantages < ratio * advantages).float() * weights).sum(),
        "policy/sampler_kl": ((torch.exp(moved) - 1 - moved) * weights).sum(),
    }
    if tokens.ref_logprobs is not None:
        kl = (kl_divergence(logprobs, tokens.ref_logprobs, settings.kl_estimator) * weights).sum()
        loss = loss + settings.kl_coef * kl
        stats["policy/kl"] = kl.detach()
    if tokens.teacher_logprobs is not None and listed_logprobs is not None:
        divergences = token_divergence(listed_logprobs, tokens.teacher_logprobs, settings.distill)
        divergence = (divergences * weights).sum()
        loss = loss + settings.distill.coef * divergence
        stats["distill/divergence"] = divergence.detach()
    entropy = (entropies * weights).sum()
    if settings.entropy_coef:
        loss = loss - settings.entropy_coef * entropy
    return loss, {**stats, "policy/entropy": entropy.detach(), "policy/loss": loss.detach()}


def _per_ratio(log_ratio: torch.Tensor, rows: torch.Tensor, ratio: str) -> torch.Tensor:
    if ratio == "token":
        return log_ratio
    if ratio == "sequence":
        return sequence_mean(log_ratio, rows)
    raise ValueError(f"ratio={ratio}, accepted: token, sequence")
