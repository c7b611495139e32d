"""Muon (https://kellerjordan.github.io/posts/muon/): momentum whose matrices are made orthogonal before the step.

torch's own iterates in bfloat16, which CPUs without that arithmetic emulate: one 128 x 128 product took 40 times as
long as in float32. On a CPU this one iterates in float32; on a GPU in bfloat16, as torch does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

RMS_OF_ADAMW = 0.2  # arXiv:2502.16982: scales a matrix's update so that AdamW's learning rates serve


class Muon(torch.optim.Muon):
    """torch's options and state (`momentum_buffer`), updates scaled to the size of AdamW's."""

    def __init__(self, params: Any, lr: float, weight_decay: float) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                update = parameter.grad.lerp(average, momentum)  # Nesterov's
                update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                parameter.mul_(1 - rate * group["weight_decay"])
                parameter.add_(update, alpha=-rate * RMS_OF_ADAMW * max(parameter.shape) ** 0.5)


def orthogonal(matrix: torch.Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> torch.Tensor:
    """Bring the singular values of a matrix near 1 by `steps` quintic Newton-Schulz iterations."""
    a, b, c = coefficients
    x = matrix if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
