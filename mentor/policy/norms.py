"""RMS norms of a model on a CPU in fewer passes over memory, forward and backward (arXiv:1910.07467, eq. 4).

transformers' own takes seven operations, and autograd keeps three tensors of the input's size and goes through each of
them; here one of that size is kept. A norm is recognised by what it computes, not by its name.
"""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch import nn

EPSILONS = ("variance_epsilon", "eps")  # transformers' names of what is added to the mean square


def choose_norms(model: nn.Module) -> None:
    """Let the RMS norms of a model on a CPU compute in fewer passes; their parameters, names and classes stay."""
    kinds: dict[type[nn.Module], type[nn.Module]] = {}
    for norm in model.modules():
        if isinstance(norm, FewerPasses) or not _is_rms_norm(norm):
            continue
        own = type(norm)
        norm.__class__ = kinds.setdefault(own, type(own.__name__, (FewerPasses, own), {}))


class FewerPasses(nn.Module):
    """Mixed into the class of a norm, which computes what is not float32 itself."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        weight: Any = self.weight
        if not hidden_states.dtype == weight.dtype == torch.float32 or hidden_states.device.type != "cpu":
            output: torch.Tensor = super().forward(hidden_states)
            return output
        if not torch.is_grad_enabled():
            return (hidden_states * _scales(hidden_states, _epsilon(self))).mul_(weight)
        output = _RmsNorm.apply(hidden_states, weight, _epsilon(self))
        return output


def _epsilon(norm: nn.Module) -> Any:
    return next((getattr(norm, name) for name in EPSILONS if hasattr(norm, name)), None)


def _is_rms_norm(norm: nn.Module) -> bool:
    """Whether a module is weight * x / sqrt(mean(x^2) + epsilon) over the last dimension, which is tried."""
    if len(signature(norm.forward).parameters) != 1:  # a gated norm takes the gate too
        return False
    parameters = dict(norm.named_parameters())
    weight = parameters.pop("weight", None)
    epsilon = _epsilon(norm)
    if (
        weight is None
        or parameters
        or weight.ndim != 1
        or weight.device.type != "cpu"
        or not isinstance(epsilon, float)
    ):
        return False
    tried = torch.linspace(-2.0, 3.0, 2 * len(weight)).view(2, -1).to(weight.dtype)
    with torch.no_grad():
        found = norm(tried)
        expected = weight * (tried.float() * _scales(tried.float(), epsilon)).to(weight.dtype)
    return isinstance(found, torch.Tensor) and torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def _scales(rows: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Compute 1 / sqrt(mean(x^2) + epsilon) of the rows (..., H): (..., 1)."""
    return torch.linalg.vecdot(rows, rows).div_(rows.shape[-1]).add_(epsilon).rsqrt_()[..., None]


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        scales = _scales(rows, epsilon)
        ctx.save_for_backward(rows, weight, scales)
        return (rows * scales).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        """With n = x * s and g the gradient times the weight: d x = s * (g - n * mean(g * n))."""
        rows, weight, scales = ctx.saved_tensors
        normalised = rows * scales
        of_weight = (grads[0] * normalised).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[0]:
            return None, of_weight, None
        weighted = grads[0] * weight
        shares = torch.linalg.vecdot(weighted, normalised).div_(rows.shape[-1])[..., None]
        return weighted.sub_(normalised.mul_(shares)).mul_(scales), of_weight, None
