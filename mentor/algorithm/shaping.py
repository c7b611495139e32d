"""Reward shaping on lengths and logprobs, after a reward was scored."""

from __future__ import annotations

import torch

from mentor.algorithm.kl import kl_divergence


def overlong_penalty(length: int, max_tokens: int, buffer_tokens: int) -> float:
    """Compute the soft overlong punishment (arXiv:2503.14476, Eq. 13): 0 up to max_tokens - buffer_tokens, falling
    linearly to -1 at max_tokens and beyond; 0 without a buffer.

    length: all tokens of a trajectory, prompt and tool output included, since max_tokens bounds them all (the paper's
    |y| is the response alone).
    """
    over = length - (max_tokens - buffer_tokens)
    return -min(over / buffer_tokens, 1.0) if buffer_tokens and over > 0 else 0.0


def kl_of_sequences(
    policy_logprobs: torch.Tensor, ref_logprobs: torch.Tensor, loss_mask: torch.Tensor, estimator: str
) -> torch.Tensor:
    """Sum a sequence's estimates over its trained tokens: (B, T) each -> (B,) float64."""
    estimates = kl_divergence(policy_logprobs.double(), ref_logprobs.double(), estimator)
    return estimates.masked_fill(~loss_mask, 0.0).sum(1)
