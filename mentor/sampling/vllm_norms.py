"""RMS norms of vLLM's models on a CPU in one pass over memory: by the kernel that vLLM builds for CPUs too.

In vLLM 0.32 a norm on a CPU takes the six operations of `forward_native`, a seventh of the time of a small model's
steps. Both compute in float32; only the order of the sums differs. Other types are rounded elsewhere, so they stay.
"""

from __future__ import annotations

import torch
from torch import nn
from vllm.model_executor.layers.layernorm import RMSNorm

WIDTH = 8  # the kernel computes as many features at once, and takes multiples of it alone


def choose_kernel_norms(model: nn.Module) -> None:
    """Let the plain RMS norms of a model on a CPU compute in float32 by the kernel; their parameters and names stay."""
    for module in model.modules():
        if type(module) is not RMSNorm or not module.has_weight or module.variance_size_override is not None:
            continue
        if module.hidden_size % WIDTH == 0:
            module.__class__ = KernelNorm


class KernelNorm(RMSNorm):
    """vLLM's norm of x (..., H), or of x + residual, which is returned too."""

    def forward(
        self, x: torch.Tensor, residual: torch.Tensor | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        if not x.dtype == self.weight.dtype == torch.float32:
            output: torch.Tensor | tuple[torch.Tensor, torch.Tensor] = super().forward(x, residual)
            return output
        rows = x.contiguous()
        if residual is not None:
            torch.ops._C.fused_add_rms_norm(rows, residual, self.weight, self.variance_epsilon)
            return rows, residual
        normed = torch.empty_like(rows)
        torch.ops._C.rms_norm(normed, rows, self.weight, self.variance_epsilon)
        return normed
