"""A base whose linear layers are held in four bits while its adapters train (QLoRA, arXiv:2305.14314), by bitsandbytes.

Layers compute with the weights that the four bits stand for. These weights leave the model, as whole tensors: what is
exported is what was trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from mentor.errors import PolicyError


def quantization(dtype: torch.dtype) -> BitsAndBytesConfig:
    """Ask for NF4 with its constants quantised again, for layers that compute in `dtype`.

    Raises PolicyError without bitsandbytes.
    """
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise PolicyError("trainer.lora.quantize=nf4 needs bitsandbytes: pip install 'mentor[qlora]'") from error
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def settle(model: PreTrainedModel) -> None:
    """Make a loaded model an ordinary one, some of whose layers have packed weights.

    Without the mark of its quantisation it is saved as whole tensors. On some CPUs bitsandbytes would lay the weights
    out anew in the first forward pass, and not read them back from there.
    """
    marked: Any = model
    del marked.hf_quantizer, marked.config.quantization_config
    layers: Iterable[Any] = model.modules()
    for layer in layers:
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def whole(parameter: nn.Parameter) -> torch.Tensor:
    """Return the values that a parameter stands for, without gradient: itself unless it is packed."""
    state = getattr(parameter, "quant_state", None)
    if state is None:
        return parameter.detach()
    from bitsandbytes.functional import dequantize_4bit

    values: torch.Tensor = dequantize_4bit(parameter.detach(), state)
    return values
