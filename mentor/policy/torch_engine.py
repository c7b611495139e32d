"""Parameters and optimiser of a policy in plain torch: float32, the forward pass under autocast.

Over several ranks each holds all of it. The gradients that the ranks computed of their parts of a minibatch are summed
once, before the optimiser step: torch's DistributedDataParallel does not see those that the LM head and the embedding
add to in place (`lm_head`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn
from transformers import PreTrainedModel

from mentor.errors import PolicyError
from mentor.policy.optimizer import OptimizerSettings, build_optimizers, trained_parameters
from mentor.policy.ranks import Ranks
from mentor.policy.scorer import Scorer
from mentor.policy.state import Entry

BUCKET_ELEMENTS = 2**24
"""Of the gradients that are summed over the ranks at once: 64 MiB."""


class TorchEngine:
    """Implements `Engine`. dtype: of the forward pass. temperature: the one the policy's tokens are sampled at."""

    def __init__(
        self,
        model: PreTrainedModel,
        settings: OptimizerSettings,
        dtype: torch.dtype = torch.float32,
        temperature: float = 1.0,
        ranks: Ranks | None = None,
    ) -> None:
        self.scorer = Scorer(model, temperature, dtype, into_grad=True)
        self.module: nn.Module = self.scorer
        self.device = next(model.parameters()).device
        self.steps = 0
        self.optimizers = build_optimizers(model, settings)
        self._ranks = ranks or Ranks()
        self._max_grad_norm = settings.max_grad_norm or float("inf")

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        loss.backward()

    def step(self, learning_rate: float) -> float:
        trained = [p for _, p in trained_parameters(self.scorer.model)]
        if self._ranks.size > 1:
            sum_gradients(trained, self._ranks)
        norm = nn.utils.clip_grad_norm_(trained, self._max_grad_norm)
        if not torch.isfinite(norm):
            raise PolicyError(f"the gradient norm is {norm.item()} at optimiser step {self.steps}")
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        return float(norm)

    def read(self, parameter: nn.Parameter) -> Entry:
        state = self._optimizer_of(parameter).state.get(parameter) or {}
        moments = {key: value for key, value in state.items() if key != "step"}
        return {"weight": parameter.detach(), **moments}

    def write(self, parameter: nn.Parameter, entry: Entry) -> None:
        optimizer = self._optimizer_of(parameter)
        with torch.no_grad():
            parameter.copy_(entry["weight"])
        moments = {key: value.to(self.device) for key, value in entry.items() if key != "weight"}
        if moments and isinstance(optimizer, torch.optim.AdamW):
            # Every parameter takes part in every step; the fused kernel reads the count where the parameter is.
            moments["step"] = torch.tensor(float(self.steps), device=self.device)
        if moments:
            optimizer.state[parameter] = moments

    def gathered(self, parameters: Sequence[nn.Parameter]) -> AbstractContextManager[None]:
        return nullcontext()

    def _optimizer_of(self, parameter: nn.Parameter) -> torch.optim.Optimizer:
        (found,) = [
            optimizer
            for optimizer in self.optimizers
            if any(parameter is p for group in optimizer.param_groups for p in group["params"])
        ]
        return found


def sum_gradients(parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
    """Add up the float32 gradients of all ranks, on every rank; a parameter that none has a gradient of keeps none."""
    used = ranks.all_reduce(torch.tensor([parameter.grad is not None for parameter in parameters]).int())
    for bucket in buckets(p for p, count in zip(parameters, used.tolist(), strict=True) if count):
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        summed = ranks.all_reduce(torch.cat([part.flatten() for part in parts]))
        for parameter, part in zip(bucket, summed.split([p.numel() for p in bucket]), strict=True):
            parameter.grad = part.view_as(parameter)


def buckets(parameters: Iterable[nn.Parameter], elements: int = BUCKET_ELEMENTS) -> Iterator[list[nn.Parameter]]:
    """Yield the parameters in their order, at most `elements` of them together (one parameter at least)."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        if bucket and sum(p.numel() for p in bucket) + parameter.numel() > elements:
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket
