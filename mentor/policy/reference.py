"""The reference model of a KL term: where the policy started, frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from mentor.algorithm.batch import TokenBatch
from mentor.policy.lora import adapted_layers, adapters_off
from mentor.policy.policy import Policy


class Reference(Protocol):
    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        """Score each trained token: its logprob, (B, T) float32 without gradient, 0 elsewhere."""


class AdaptersOff:
    """Implements `Reference`: the policy with its adapters off, which needs no second model."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        with adapters_off(self.policy.model):
            return self.policy.logprobs(batch)


def build_reference(policy: Policy, load_frozen: Callable[[], Policy]) -> Reference:
    """Build the reference: the policy with its adapters off where it has some, else a frozen second model."""
    return AdaptersOff(policy) if any(adapted_layers(policy.model)) else load_frozen()
