"""Scaled-dot-product attention that never copies keys and values for grouped queries.

transformers repeats them for every query head when there is a mask; torch's CPU kernel takes the groups as they are,
with equal results. On a GPU transformers' own choice stays.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from mentor.errors import PolicyError

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
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to (B, T, H, D).

    query (B, H, T, D), key and value (B, kv_heads, L, D), mask (B, 1, T, L) or None: all where not causal. Raises
    PolicyError for what changes the scores and is not computed here.
    """
    if other := sorted(name for name in SCORES if kwargs.get(name) is not None):
        raise PolicyError(f"attention with {', '.join(other)} is not computed by {GROUPED}: load the model as eager")
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    causal = is_causal and attention_mask is None and query.shape[2] > 1
    output = scaled_dot_product_attention(
        query, key, value, attention_mask, dropout, causal, scale=scaling, enable_gqa=True
    )
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, grouped_sdpa)
AttentionMaskInterface.register(GROUPED, sdpa_mask)
