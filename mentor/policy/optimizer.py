"""Optimisers of a policy in plain torch, and the schedule of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mentor.policy.muon import Muon


@dataclass(frozen=True)
class OptimizerSettings:
    """learning_rate is reached after `warmup_steps`; schedule: what follows, as `factor` says.

    total_steps: optimiser steps of the whole stage. decay_share: of them, at the end of wsd. max_grad_norm: longer
    gradients are scaled down to it; 0 scales none. betas, eps: of AdamW.
    """

    name: str
    learning_rate: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    max_grad_norm: float = 1.0
    warmup_steps: int = 0
    schedule: str = "constant"
    total_steps: int = 1
    decay_share: float = 0.1

    def adamw(self) -> dict[str, Any]:
        """Return AdamW's arguments."""
        return {"lr": self.learning_rate, "betas": self.betas, "eps": self.eps, "weight_decay": self.weight_decay}

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at optimiser step `step` (from 0).

        After a linear warm-up: `constant` stays at 1; `linear` falls to zero at `total_steps`; `cosine` too, along half
        a cosine (arXiv:1608.03983, Eq. 5, without restarts); `wsd` (warm-up, stable, decay: arXiv:2404.06395) stays
        at 1 until the last `decay_share` of all steps, in which it falls like `cosine`. They are transformers'
        schedules of these names, but for the warm-up, whose first step has 1 / warmup_steps here and 0 there.
        """
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        after_warmup = self.total_steps - self.warmup_steps
        if self.schedule == "linear":
            return self._left(step, after_warmup)
        if self.schedule == "cosine":
            return _half_cosine(self._left(step, after_warmup))
        if self.schedule == "wsd":
            return _half_cosine(self._left(step, min(after_warmup, round(self.decay_share * self.total_steps))))
        return 1.0

    def _left(self, step: int, last: int) -> float:
        """What is left of the stage's `last` steps at a step: from 1 to 0."""
        return min(1.0, max(0.0, (self.total_steps - step) / max(1, last)))


def _half_cosine(left: float) -> float:
    return 0.5 * (1 - math.cos(math.pi * left))


def trained_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """List the parameters that are trained, by name, in the model's order."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def build_optimizers(model: nn.Module, settings: OptimizerSettings) -> list[torch.optim.Optimizer]:
    """Build adamw for everything, or muon for the matrices inside the layers and adamw for the rest."""
    parameters = trained_parameters(model)
    if settings.name == "adamw":
        matrices, rest = [], [p for _, p in parameters]
    elif settings.name == "muon":
        matrices = [p for name, p in parameters if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
        inside = {id(p) for p in matrices}
        rest = [p for _, p in parameters if id(p) not in inside]
    else:
        raise ValueError(f"optimizer={settings.name}, accepted: adamw, muon")
    optimizers: list[torch.optim.Optimizer] = []
    if rest:
        optimizers.append(torch.optim.AdamW(rest, **settings.adamw(), fused=True))
    if matrices:
        optimizers.append(Muon(matrices, lr=settings.learning_rate, weight_decay=settings.weight_decay))
    return optimizers
