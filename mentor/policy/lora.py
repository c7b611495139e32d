"""Low-rank adapters (arXiv:2106.09685) inside a model, the weights of the model they amount to, and their own files.

peft puts the adapters into the model itself, so that it stays the transformers model it was. A base layer's weight W
with adapters A (r, in) and B (out, r) acts as W + alpha / r * B A. The sum is made in float32 and stays float32: next
to W most of a small update is lost in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel

from mentor.errors import PolicyError

INFIX = ".base_layer"  # peft's name of the layer that an adapter wraps
WEIGHTS = "adapter_model.safetensors"  # peft's name of the file


def add_adapters(model: PreTrainedModel, rank: int, alpha: int) -> None:
    """Add adapters to every linear layer but the LM head; nothing else stays trainable. B starts at zero.

    A Mamba layer's fused kernel multiplies with the weight of its last linear layer itself, past an adapter, so that
    one gets none.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise PolicyError("trainer.lora needs peft: pip install 'mentor[lora]'") from error
    head = model.get_output_embeddings()
    mamba = [module for module in model.modules() if hasattr(module, "A_log") and hasattr(module, "D")]
    inside = set(model.get_decoder().modules()) - {head, *(getattr(layer, "out_proj", None) for layer in mamba)}
    linear = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear) and layer in inside]
    dtype = next(model.parameters()).dtype
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear, task_type="CAUSAL_LM")
    inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)


def adapted_layers(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield (name, layer) of every layer that has an adapter."""
    return ((name, layer) for name, layer in model.named_modules() if hasattr(layer, "lora_A"))


def plain_name(name: str) -> str:
    """Return a base layer's parameter name in a model without adapters."""
    return name.replace(INFIX, "")


def pushed_name(name: str) -> str:
    """Return the name under which a policy gives a parameter of a model away: without what peft adds in memory."""
    return plain_name(name).replace(".default.weight", ".weight")


@torch.no_grad()
def merged(weight: torch.Tensor, layer: torch.nn.Module) -> torch.Tensor:
    """Merge the adapter into the layer's weight, in float32."""
    ((a, b, scaling),) = adapters(layer)
    return weight.float() + scaling * (b.float() @ a.float())


def tensors(name: str, layer: torch.nn.Module, scaled: bool = False) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield A and B of the layer of that name, in float32, as peft names them in a file. scaled: B times alpha / r."""
    ((a, b, scaling),) = adapters(layer)
    yield f"{name}.lora_A.weight", a.detach().float()
    yield f"{name}.lora_B.weight", b.detach().float() * (scaling if scaled else 1)


def adapter_shape(model: PreTrainedModel) -> tuple[int, tuple[str, ...]] | None:
    """Return the adapters' rank and the last names of the layers that have one; None for a model without."""
    layers = list(adapted_layers(model))
    if not layers:
        return None
    ((a, _, _),) = adapters(layers[0][1])
    return a.shape[0], tuple(sorted({name.rpartition(".")[2] for name, _ in layers}))


def write_adapter(folder: Path, model: PreTrainedModel, weights: dict[str, torch.Tensor]) -> None:
    """Write the adapters as peft does, naming the model they belong to; weights: `tensors` of all adapted layers."""
    held: Any = model
    config = copy(held.peft_config["default"])
    base = str(model.name_or_path)
    config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).is_dir() else base
    config.target_modules = sorted(config.target_modules)
    config.inference_mode = True
    config.save_pretrained(folder)
    save_file({f"base_model.model.{name}": value.contiguous() for name, value in weights.items()}, folder / WEIGHTS)


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
