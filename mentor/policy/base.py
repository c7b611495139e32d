"""What every policy engine offers. Plain torch implements it, and DeepSpeed over several processes.

With several, every process calls every method, with the same batch, and gets the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from mentor.algorithm.batch import Batch


class PolicyOutput(NamedTuple):
    """Of the N trained tokens of a batch, row by row: logprobs (N,) and entropies (N,) float32, in nats, both at the
    policy's sampling temperature and both with gradient."""

    logprobs: torch.Tensor
    entropies: torch.Tensor


LossFunction = Callable[[PolicyOutput, Batch], tuple[torch.Tensor, dict[str, torch.Tensor]]]
"""Loss and weighted sums of one micro-batch, both adding up over the micro-batches of a minibatch."""


class Reference(Protocol):
    def logprobs(self, batch: Batch) -> torch.Tensor:
        """(B, T) float32 without gradient: logprob of each trained token, 0 elsewhere."""


class Policy(Reference, Protocol):
    def update(self, batch: Batch, loss_function: LossFunction) -> dict[str, float]:
        """One optimiser step over a whole minibatch, in micro-batches; returns the summed stats and the step's own."""

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """The current parameters by name, whole and with adapters merged in, for a sampler. To be used up in order."""

    def save_model(self, folder: Path | None) -> None:
        """Hugging Face format, adapters merged in. folder: None in a process that only helps to gather weights."""

    def save_state(self, folder: Path | None) -> None:
        """All that `load_state` needs to go on exactly: weights, optimiser, step, random numbers."""

    def load_state(self, folder: Path) -> None: ...
