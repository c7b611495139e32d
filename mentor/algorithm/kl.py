"""Estimators of KL(policy || reference) from logprobs of sampled tokens (Schulman, "Approximating KL divergence")."""

from __future__ import annotations

import torch


def kl_divergence(policy_logprobs: torch.Tensor, ref_logprobs: torch.Tensor, estimator: str) -> torch.Tensor:
    """Estimate the KL per token, any shape.

    With d = policy - reference: k1 is d (unbiased), k3 is exp(-d) - 1 + d (never negative).

    In a loss, k3 is differentiated as it stands (arXiv:2402.03300, Eq. 4). The gradient of d itself does not depend on
    the reference and is zero in expectation, so k1 has the value d and the gradient of the expectation that d
    estimates: d times the gradient of policy_logprobs, as if -d were a reward.
    """
    difference = policy_logprobs - ref_logprobs
    if estimator == "k1":
        value = difference.detach()
        return value + value * (policy_logprobs - policy_logprobs.detach())
    if estimator == "k3":
        return torch.exp(-difference) - 1 + difference
    raise ValueError(f"kl_estimator={estimator}, accepted: k1, k3")
