"""Matrix products of a model's linear layers on a CPU, by oneDNN where they are large.

For float32 torch calls MKL, which leaves half of the vector unit of AMD's processors unused: on an EPYC 9005 oneDNN,
which is part of torch too, takes 0.43 of MKL's time. Both multiply in float32; only the order of their sums differs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

LARGE = 2**24
"""Multiplications of a product from which on oneDNN is faster: its call is longer, and it prepares every new shape, of
which decoding has as many as rows."""


def multiply(rows: torch.Tensor, columns: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Compute rows (..., K) @ columns (M, K).T + bias (M,): (..., M), without a gradient."""
    if not _is_large(rows, columns):
        return nn.functional.linear(rows, columns, bias)
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, columns, bias, "none", [], "")
    return product


def choose_products(model: nn.Module) -> None:
    """Let the plain linear layers of a model on a CPU multiply by oneDNN; their parameters and names stay."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()):
        return
    for layer in model.modules():
        if type(layer) is nn.Linear and layer.weight.device.type == "cpu":
            layer.__class__ = Linear


class Linear(nn.Linear):
    """torch's layer; its large products in float32, also those of the backward pass, are oneDNN's."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not _is_large(input, self.weight) or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        output: torch.Tensor = _Linear.apply(input, self.weight, self.bias)
        return output


def _is_large(rows: torch.Tensor, columns: torch.Tensor) -> bool:
    """Whether a product (..., K) @ (M, K).T is oneDNN's."""
    plain = rows.dtype == columns.dtype == torch.float32 and rows.device.type == columns.device.type == "cpu"
    return plain and rows.numel() * len(columns) >= LARGE


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        return multiply(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        upstream, flat = grads[0].flatten(0, -2), rows.flatten(0, -2)
        of_rows = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            of_rows = multiply(upstream, weight.T).view(rows.shape)
        if ctx.needs_input_grad[1]:
            # oneDNN copies its first factor when that is transposed, so it is the narrower of the two
            narrow = len(weight) <= flat.shape[1]
            of_weight = multiply(upstream.T, flat.T) if narrow else multiply(flat.T, upstream.T).T
        if ctx.needs_input_grad[2]:
            of_bias = upstream.sum(0)
        return of_rows, of_weight, of_bias
