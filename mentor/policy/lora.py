"""Low-rank adapters (arXiv:2106.09685) inside a model, and the weights of the model they amount to.

peft puts the adapters into the model itself, so that it stays the transformers model it was. A base layer's weight W
with adapters A (r, in) and B (out, r) acts as W + alpha / r * B A.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from mentor.errors import PolicyError

INFIX = ".base_layer"  # peft's name of the layer that an adapter wraps


def add_adapters(model: PreTrainedModel, rank: int, alpha: int) -> None:
    """Add adapters to every linear layer but the LM head; nothing else stays trainable. B starts at zero."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise PolicyError("trainer.lora needs peft: pip install 'mentor[lora]'") from error
    head = model.get_output_embeddings()
    inside = set(model.get_decoder().modules()) - {head}
    linear = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and layer in inside]
    dtype = next(model.parameters()).dtype
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear), model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)
        parameter.data = parameter.data.to(dtype)


def adapted_layers(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield (name, layer) of every layer that has an adapter."""
    return ((name, layer) for name, layer in model.named_modules() if hasattr(layer, "lora_A"))


def plain_name(name: str) -> str:
    """Return a base layer's parameter name in a model without adapters."""
    return name.replace(INFIX, "")


def merged(weight: torch.Tensor, layer: torch.nn.Module) -> torch.Tensor:
    """Merge the adapter into the layer's weight, summed in float32, in the weight's type."""
    ((a, b, scaling),) = adapters(layer)
    return (weight.float() + scaling * (b.float() @ a.float())).to(weight.dtype)


def adapters(layer: torch.nn.Module) -> Iterable[tuple[torch.Tensor, torch.Tensor, float]]:
    """List A (r, in), B (out, r) and alpha / r of a layer's adapters."""
    inside: dict[str, torch.nn.Module] = dict(layer.named_children())
    scaling: dict[str, float] = layer.scaling  # type: ignore[assignment]
    first: dict[str, torch.nn.Module] = dict(inside["lora_A"].named_children())
    second: dict[str, torch.nn.Module] = dict(inside["lora_B"].named_children())
    return [(first[key].weight, second[key].weight, scaling[key]) for key in first]  # type: ignore[misc]


@contextmanager
def adapters_off(model: torch.nn.Module) -> Iterator[None]:
    """Turn the adapters off while the context is open: the model is its base, as before training."""
    layers = [layer for _, layer in adapted_layers(model)]
    for layer in layers:
        layer.enable_adapters(False)  # type: ignore[operator]
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)  # type: ignore[operator]
