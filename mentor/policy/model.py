"""Students: loaded from a folder or hub name, or made from scratch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar, get_verbosity, set_verbosity, set_verbosity_error

from mentor.errors import InputError
from mentor.policy.attention import choose_attention
from mentor.policy.nf4 import settle
from mentor.policy.norms import choose_norms
from mentor.policy.products import choose_products

if torch.cuda.device_count() == 0:  # is_available() would initialise CUDA, and forks of this process could not use it
    os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else DeepSpeed warns, also where transformers merely looks for it
disable_progress_bar()  # of loading and saving weights: the stage shows its own progress


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def torch_dtype(name: str) -> torch.dtype:
    """Of the forward pass; weights stay float32."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]


def load_model(
    path: str | Path,
    dtype: torch.dtype = torch.float32,
    to: torch.device | None = None,
    attention: str | None = None,
    quantization: BitsAndBytesConfig | None = None,
    key: str = "model.path",
) -> PreTrainedModel:
    """Load a causal language model. to: the device when None. attention: see `choose_attention`.

    quantization: of its linear layers (`nf4`). key: of the configuration, that gives the path.
    Raises InputError naming the path when it is not one.
    """
    verbosity = get_verbosity()
    set_verbosity_error()  # its table of unfitting weights is said in one line here
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(path),
            dtype=dtype,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            quantization_config=quantization,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{key}={path} cannot be loaded: {reason}") from error
    finally:
        set_verbosity(verbosity)
    model, report = loaded
    unfit = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
    if unfit:
        raise InputError(
            f"{key}={path} lacks {len(unfit)} weights of the shape its config.json asks for ({unfit[0]}, ...)"
        )
    if quantization is not None:
        settle(model)
    return on_device(model, to or device(), attention)


def freeze_all_but_text(model: PreTrainedModel) -> None:
    """Train no part of a model that text does not pass through: towers of images and sound."""
    text = {*model.get_decoder().parameters(), *model.get_output_embeddings().parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter in text and parameter.is_floating_point())


def make_student(
    seed: int,
    *,
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_hidden_layers: int,
    num_attention_heads: int,
    num_key_value_heads: int,
    max_position_embeddings: int,
    eos_token_id: int,
    pad_token_id: int,
    head_dim: int | None = None,
    tie_word_embeddings: bool = True,
    attention: str | None = None,
) -> PreTrainedModel:
    """Make a randomly initialised model of Qwen3's architecture."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=num_hidden_layers,
        num_attention_heads=num_attention_heads,
        num_key_value_heads=num_key_value_heads,
        head_dim=head_dim or hidden_size // num_attention_heads,
        max_position_embeddings=max_position_embeddings,
        tie_word_embeddings=tie_word_embeddings,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
    )
    return on_device(Qwen3ForCausalLM(config), device(), attention)


def on_device(model: PreTrainedModel, to: torch.device, attention: str | None = None) -> PreTrainedModel:
    """Choose the model's attention, move it to the device, choose its norms and its products there."""
    choose_attention(model, attention)
    nn.Module.to(model, to)
    choose_norms(model)
    choose_products(model)
    return model
