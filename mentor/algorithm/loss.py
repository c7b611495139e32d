"""The clipped policy-gradient loss (arXiv:2402.03300, Eq. 3; separate clip bounds: arXiv:2503.14476, Eq. 10).

L = -mean( min(ratio * A, clip(ratio, 1 - clip_low, 1 + clip_high) * A) ) + kl_coef * mean(KL(policy || reference))

ratio = exp(policy - sampler logprob): the old policy is the one that sampled. The mean is over trained tokens
(`token`), or over sequences of each sequence's token mean (`sequence`). Normalisers are counted over the whole
minibatch and handed in as weights, so splitting it into micro-batches leaves the loss unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mentor.algorithm.kl import kl_divergence


@dataclass(frozen=True)
class LossSettings:
    clip_low: float
    clip_high: float
    kl_coef: float = 0.0
    kl_estimator: str = "k3"


def token_weights(loss_mask: torch.Tensor, loss_mean: str) -> torch.Tensor:
    """What each token counts in the mean: (B, T) float, zero where loss_mask (B, T) is False; all sum to 1.

    A sequence without a trained token counts nothing (also not as a sequence).
    """
    mask = loss_mask.float()
    lengths = mask.sum(1, keepdim=True)
    if loss_mean == "token":
        return mask / lengths.sum().clamp_min(1)
    if loss_mean == "sequence":
        return mask / lengths.clamp_min(1) / (lengths > 0).sum().clamp_min(1)
    raise ValueError(f"loss_mean={loss_mean}, accepted: token, sequence")


def policy_loss(
    policy_logprobs: torch.Tensor,
    sampler_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    weights: torch.Tensor,
    settings: LossSettings,
    ref_logprobs: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss, and weighted sums for the log.

    All (N,) over trained tokens: logprobs, the sequence's advantage, and its weight from `token_weights`. Sums over the
    micro-batches of a minibatch give the minibatch's loss and means. `policy/sampler_kl` is the k3 estimate of
    KL(sampler || policy).
    """
    log_ratio = policy_logprobs - sampler_logprobs
    ratio = torch.exp(log_ratio)
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    surrogate = torch.minimum(ratio * advantages, clipped * advantages)
    loss = -(surrogate * weights).sum()
    stats = {
        "policy/ratio": (ratio.detach() * weights).sum(),
        "policy/clip_frac": ((clipped * advantages < ratio * advantages).float() * weights).sum(),
        "policy/sampler_kl": ((ratio - 1 - log_ratio).detach() * weights).sum(),
    }
    if ref_logprobs is not None:
        kl = (kl_divergence(policy_logprobs, ref_logprobs, settings.kl_estimator) * weights).sum()
        loss = loss + settings.kl_coef * kl
        stats["policy/kl"] = kl.detach()
    stats["policy/loss"] = loss.detach()
    return loss, stats
