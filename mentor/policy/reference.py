"""The reference model of a KL term: where the policy started, frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import nn

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


class Offloaded:
    """Implements `Reference`: a frozen model that is on the device only while it scores, and on the CPU otherwise."""

    def __init__(self, frozen: Policy, device: torch.device) -> None:
        self.frozen, self.device = frozen, device

    def logprobs(self, batch: TokenBatch) -> torch.Tensor:
        with awake(self.frozen, self.device):
            return self.frozen.logprobs(batch)


@contextmanager
def awake(frozen: Policy, device: torch.device) -> Iterator[None]:
    """Hold a frozen model of the CPU's memory on the device while the context is open."""
    try:
        _move(frozen, device)
        yield
    finally:
        _move(frozen, torch.device("cpu"))


def _move(frozen: Policy, device: torch.device) -> None:
    nn.Module.to(frozen.model, device)
    frozen.engine.device = device


def build_reference(policy: Policy, load_frozen: Callable[[], Policy], offload: bool = False) -> Reference:
    """Build the reference: the policy with its adapters off where it has some, else a frozen second model.

    offload: the second model is loaded on the CPU, and leaves it only while it scores.
    """
    if any(adapted_layers(policy.model)):
        return AdaptersOff(policy)
    frozen = load_frozen()
    return Offloaded(frozen, policy.engine.device) if offload else frozen
