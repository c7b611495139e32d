"""Estimators of KL(policy || reference) from logprobs of sampled tokens (Schulman, "Approximating KL divergence")."""

from __future__ import annotations

import torch


def kl_divergence(policy_logprobs: torch.Tensor, ref_logprobs: torch.Tensor, estimator: str) -> torch.Tensor:
    """Per token, any shape. With d = policy - reference: k1 is d (unbiased), k3 is exp(-d) - 1 + d (never negative)."""
    difference = policy_logprobs - ref_logprobs
    if estimator == "k1":
        return difference
    if estimator == "k3":
        return torch.exp(-difference) - 1 + difference
    raise ValueError(f"kl_estimator={estimator}, accepted: k1, k3")
