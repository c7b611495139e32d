"""What every policy engine offers. Plain torch implements it; a sharded engine fits the same methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from mentor.algorithm.batch import Batch


class PolicyOutput(NamedTuple):
    """Of the N trained tokens of a batch, row by row: logprobs (N,) and entropies (N,) float32, entropies without
    gradient. Both at the policy's sampling temperature."""

    logprobs: torch.Tensor
    entropies: torch.Tensor


LossFunction = Callable[[PolicyOutput, Batch], tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""Loss and weighted sums of one micro-batch, both adding up over the micro-batches of a minibatch."""


class Policy(Protocol):
    def logprobs(self, batch: Batch) -> torch.Tensor:
        """(B, T) float32 without gradient: logprob of each trained token, 0 elsewhere."""

    def update(self, batch: Batch, loss_function: LossFunction) -> dict[str, float]:
        """One optimiser step over a whole minibatch, in micro-batches; returns the summed stats and the step's own."""

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """The current parameters by name, for a sampler."""

    def save_model(self, folder: Path) -> None:
        """Hugging Face format."""

    def save_state(self, folder: Path) -> None:
        """All that `load_state` needs to go on exactly: weights, optimiser, step, random numbers."""

    def load_state(self, folder: Path) -> None: ...
