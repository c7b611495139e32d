"""The attention a model computes with: transformers' own choice, the one that is asked for, or grouped for sdpa.

Grouped: scaled-dot-product attention that takes the segments of rows with shared prefixes, and on a CPU never copies
keys and values for grouped queries. transformers repeats them for every query head when there is a mask; torch's CPU
kernel takes the groups as they are, with equal results. Flash attention, from its own packages or from the `kernels`
package, takes the lengths of packed sequences instead of a mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.utils.generic import is_flash_attention_requested

from mentor.errors import InputError, PolicyError, one_line
from mentor.policy.prefix_attention import SegmentTree, attend_to_segments

GROUPED = "grouped_sdpa"
SCORES = ("softcap", "s_aux", "position_bias")  # what models hand to attention besides a mask: caps, sinks, biases


def grouped_sdpa(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    segments: SegmentTree | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to (B, T, H, D).

    query (B, H, T, D), key and value (B, kv_heads, L, D), mask (B, 1, T, L) or None: all where not causal. With
    segments no mask is read. Raises PolicyError for what changes the scores and is not computed here.
    """
    if other := sorted(name for name in SCORES if kwargs.get(name) is not None):
        raise PolicyError(f"attention with {', '.join(other)} is not computed by {GROUPED}: load the model as eager")
    if segments is not None:
        return attend_to_segments(query, key, value, segments, dropout, scaling), None
    if query.is_cuda:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    causal = is_causal and attention_mask is None and query.shape[2] > 1
    output = scaled_dot_product_attention(
        query, key, value, attention_mask, dropout, causal, scale=scaling, enable_gqa=True
    )
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, grouped_sdpa)
AttentionMaskInterface.register(GROUPED, sdpa_mask)


def choose_attention(model: PreTrainedModel, name: str | None) -> None:
    """Set the attention of a model: what transformers chose for its class where None, else what is asked for.

    A cap on attention scores (Gemma 2) is kept by eager and flash attention alone. Where it is sdpa, it is `GROUPED`.
    Raises InputError for a name that the model, this machine or its packages do not have.
    """
    capped = getattr(model.config.get_text_config(), "attn_logit_softcapping", None) is not None
    if name == "sdpa" and capped:
        raise _unavailable(name, "it leaves out this model's cap on attention scores; accepted: eager, flash attention")
    wanted = name or ("eager" if capped else None)
    if wanted is not None and wanted != model.config._attn_implementation:
        try:
            model.set_attn_implementation(wanted)
        except (ImportError, ValueError, OSError, RuntimeError) as error:
            raise _unavailable(wanted, one_line(error)) from error
        if model.config._attn_implementation in ("sdpa", "eager") and model.config._attn_implementation != wanted:
            raise _unavailable(wanted, f"{type(model).__name__} has one attention alone")
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(GROUPED)


def _unavailable(name: str, reason: str) -> InputError:
    return InputError(f"model.attn_implementation={name} cannot be used here: {reason}")


def takes_lengths(model: PreTrainedModel) -> bool:
    """Whether the model's attention is told the lengths of packed sequences, and needs no mask of them."""
    config = model.config.get_text_config(decoder=True)
    return bool(is_flash_attention_requested(requested_attention_implementation=config._attn_implementation))


@contextmanager
def masked_attention(model: PreTrainedModel) -> Iterator[None]:
    """Replace flash attention, which runs on a GPU alone, by attention with a mask while the context is open."""
    before = model.config._attn_implementation
    if not takes_lengths(model):
        yield
        return
    model.config._attn_implementation = "sdpa" if model._supports_sdpa else "eager"
    try:
        yield
    finally:
        model.config._attn_implementation = before
