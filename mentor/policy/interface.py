"""What a policy is built from and used by: the output of a forward pass, loss functions, and engines.

Over several ranks, every rank calls every method, with the same batch, and gets the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import nn

from mentor.algorithm.batch import Batch
from mentor.policy.scorer import Scorer
from mentor.policy.state import Entry


class PolicyOutput(NamedTuple):
    """Of the N trained tokens of a batch, row by row: logprobs (N,) and entropies (N,) float32, in nats, both at the
    policy's sampling temperature and both with gradient; and kept (N, K) int32, the tokens that both are among.

    entropies: None where nothing reads them. listed: (N, K) int32, further tokens in their place, and listed_logprobs
    (N, K), with gradient; None where none are asked for."""

    logprobs: torch.Tensor
    entropies: torch.Tensor | None
    kept: torch.Tensor | None = None
    listed: torch.Tensor | None = None
    listed_logprobs: torch.Tensor | None = None


B = TypeVar("B", bound=Batch)

LossFunction = Callable[[PolicyOutput, B], tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""Loss and weighted sums of one micro-batch, both adding up over the micro-batches of a minibatch."""


class Engine(Protocol):
    """Holds a model's parameters and optimiser: plain torch, or DeepSpeed over several ranks.

    module: what runs the forward pass of `scorer`. steps: optimiser steps taken.
    """

    scorer: Scorer
    module: nn.Module
    device: torch.device
    steps: int

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        """Add a micro-batch's gradients. last: of its minibatch."""

    def step(self, learning_rate: float) -> float:
        """Take one optimiser step with the gradients at hand; return their norm before clipping.

        Raises PolicyError where that is not finite.
        """

    def read(self, parameter: nn.Parameter) -> Entry:
        """Return the whole weight and the optimiser's moments of a parameter."""

    def write(self, parameter: nn.Parameter, entry: Entry) -> None:
        """Set the weight and the moments of a parameter, as after `steps` steps."""

    def gathered(self, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        """Hold the parameters whole on every rank while the context is open, to be read."""
