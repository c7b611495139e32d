"""On-policy distillation: how far the policy is from a teacher at the tokens that it sampled itself.

As an advantage (Lu and Thinking Machines Lab 2025, "On-Policy Distillation"): log p_teacher(x_t) - log p_policy(x_t) of
the sampled token x_t, whose expectation under the policy is -KL(policy || teacher) at t. Summed over the later tokens
it is the return whose policy gradient is that of the whole sequence's reverse KL (MiniLLM, arXiv:2306.08543, Eq. 2).

In the loss (GKD, arXiv:2306.13649, Eq. 1 and 2): a divergence of the two distributions at t, over the teacher's K most
likely tokens and the rest of the vocabulary as one further outcome. Merging outcomes never makes a divergence larger,
so it is a lower bound of that over the whole vocabulary, which K = V gives. No gradient flows through the sampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

REST = 1e-6  # least probability of the tokens that are not listed: float32 sums are not closer to 1


@dataclass(frozen=True)
class DistillSettings:
    """coef: of distillation; 0 asks no teacher. reward_coef: of the reward's advantages, with a teacher.

    placement: advantage or loss. discount: of the advantages of later tokens. divergence: reverse_kl, forward_kl or jsd
    over the `top_k` most likely tokens of the teacher, in the loss; jsd_beta: the teacher's share of the mixture.
    """

    coef: float = 0.0
    reward_coef: float = 1.0
    placement: str = "advantage"
    discount: float = 0.0
    divergence: str = "reverse_kl"
    top_k: int = 20
    jsd_beta: float = 0.5

    @property
    def in_loss(self) -> bool:
        return self.coef > 0 and self.placement == "loss"


NO_TEACHER = DistillSettings()


def distilled_advantages(
    policy_logprobs: torch.Tensor,
    teacher_logprobs: torch.Tensor,
    loss_mask: torch.Tensor,
    trajectories: torch.Tensor,
    discount: float = 0.0,
) -> torch.Tensor:
    """Compute sum over u >= t of discount^(u - t) (log p_teacher(x_u) - log p_policy(x_u)): (B, T) float32.

    All (B, T) but trajectories (B,), the number of each row's trajectory, whose rows follow each other. t and u count
    the trained tokens of a trajectory, so neither tool output nor the end of a row is a distance. Zero where loss_mask
    is False.
    """
    gaps = (teacher_logprobs.double() - policy_logprobs.double()).masked_fill(~loss_mask, 0.0)
    if not discount:
        return gaps.float()
    returns = torch.zeros_like(gaps)
    _, counts = torch.unique_consecutive(trajectories, return_counts=True)
    for rows in torch.arange(len(gaps)).split(counts.tolist()):
        trained = loss_mask[rows]
        later, found = 0.0, []
        for gap in reversed(gaps[rows][trained].tolist()):
            later = gap + discount * later
            found.append(later)
        returns[rows] = returns[rows].masked_scatter(trained, gaps.new_tensor(found[::-1]))
    return returns.float()


def token_divergence(
    policy_logprobs: torch.Tensor, teacher_logprobs: torch.Tensor, settings: DistillSettings
) -> torch.Tensor:
    """Compute the divergence at each token, (N,) float32, with gradient to policy_logprobs.

    Both (N, K): the logprobs of the teacher's K most likely tokens. With P the teacher, S the policy and b = jsd_beta:
    reverse_kl is KL(S || P), forward_kl KL(P || S), jsd b KL(P || M) + (1 - b) KL(S || M), M = b P + (1 - b) S.
    """
    policy, teacher = with_rest(policy_logprobs), with_rest(teacher_logprobs)
    if settings.divergence == "reverse_kl":
        return _kl(policy, teacher).float()
    if settings.divergence == "forward_kl":
        return _kl(teacher, policy).float()
    if settings.divergence == "jsd":
        beta = settings.jsd_beta
        mixture = torch.logaddexp(teacher + math.log(beta), policy + math.log(1 - beta))
        return (beta * _kl(teacher, mixture) + (1 - beta) * _kl(policy, mixture)).float()
    raise ValueError(f"divergence={settings.divergence}, accepted: reverse_kl, forward_kl, jsd")


def with_rest(logprobs: torch.Tensor) -> torch.Tensor:
    """Append the log of the probability that the listed tokens leave, REST at least: (N, K) -> (N, K + 1) float64."""
    wide = logprobs.double()
    rest = (1 - wide.exp().sum(1, keepdim=True)).clamp_min(REST).log()
    return torch.cat([wide, rest], dim=1)


def _kl(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Compute KL(one || other), (N, M) log-probabilities -> (N,)."""
    return (one.exp() * (one - other)).sum(1)
