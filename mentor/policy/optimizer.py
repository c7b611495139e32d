"""Optimisers of a policy in plain torch, and the schedule of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mentor.policy.muon import Muon


@dataclass(frozen=True)
class OptimizerSettings:
    """learning_rate is reached after `warmup_steps`; schedule is constant, or linear to zero at `total_steps`.

    max_grad_norm: longer gradients are scaled down to it; 0 scales none. betas, eps: of AdamW.
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

    def adamw(self) -> dict[str, Any]:
        """Return AdamW's arguments."""
        return {"lr": self.learning_rate, "betas": self.betas, "eps": self.eps, "weight_decay": self.weight_decay}

    def factor(self, step: int) -> float:
        """Return what the learning rate is multiplied by at optimiser step `step` (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.schedule == "linear":
            return max(0.0, (self.total_steps - step) / max(1, self.total_steps - self.warmup_steps))
        return 1.0


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
