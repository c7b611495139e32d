"""Estimate the activations of a forward and a backward pass, counted for Qwen3 as implemented in transformers.

After Korthikanti et al. (arXiv:2205.05198), without attention scores, which fused attention never keeps.
"""

from __future__ import annotations

from mentor.planning import model_state
from mentor.planning.terms import Terms, gib, larger
from mentor.planning.workload import Workload

CHUNK_ELEMENTS = {
    "cpu": 2**22,
    "cuda": 2**26,
}  # logits at once (mentor/policy/lm_head.py), about three times float32


def forward(workload: Workload) -> Terms:
    """Return the larger of two moments: in a layer, with about half of what it would save, and in the LM head."""
    hidden = workload.width * workload.shape.hidden_size * workload.tokens
    layer = {"layer at work": workload.tokens * _saved_by_layer(workload) / 2 + 2 * hidden + _mask(workload)}
    chunks = 2 * _chunk(workload)  # logits, and their exponentials
    head = {"final hidden states": 3 * hidden, "logits chunk": chunks, "float32 head": _wide_head(workload)}
    return gib({**narrow_copies(workload), **larger(layer, head)})


def backward(workload: Workload) -> Terms:
    """Return the larger of two moments: in the LM head, and in a layer with its new gradients."""
    shape, width = workload.shape, workload.width
    saved = _saved_by_layer(workload)
    stream = 4 if workload.zero_stage == 0 else width
    kept, recomputed = (stream * shape.hidden_size, saved) if workload.gradient_checkpointing else (saved, 0)
    layer = recomputed + width * (2 * shape.intermediate_size + 3 * shape.hidden_size)
    # The head's gradient in float32 (plain torch already keeps one), and the product added to it, bfloat16 on a GPU.
    product = 2 if width == 2 and workload.device.is_gpu else 0
    head = 0 if workload.lora_rank else ((4 if workload.zero_stage else 0) + product) * shape.embedding
    final = 6 * width * shape.hidden_size * workload.tokens
    head_turn = {"final hidden states": final, "logits chunk": 3 * _chunk(workload), "head gradient": head}
    head_turn["float32 head"] = _wide_head(workload)
    at_work = layer * workload.tokens + _mask(workload)
    layer_turn = {"layer at work": at_work, "new gradients": model_state.new_gradients(workload)}
    kept_by_all = {"kept activations": shape.num_hidden_layers * kept * workload.tokens}
    return gib({**narrow_copies(workload), **kept_by_all, **larger(head_turn, layer_turn)})


def _saved_by_layer(workload: Workload) -> float:
    """Count the bytes per token that a layer saves for its backward pass: norms, queries, keys, values, feed-forward.

    In transformers a norm works in float32 and keeps its input, the normalised and the scaled one; queries and keys are
    normalised too, and are repeated for grouped attention with a mask. Under autocast norms stay in float32. On a CPU
    less is kept (`mentor.policy.norms`).
    """
    shape = workload.shape
    h, q, k, f = shape.hidden_size, shape.query_size, shape.key_size, shape.intermediate_size
    if workload.width == 4:
        return 24 * h + 24 * q + 16 * k + 16 * f
    return 16 * h + 14 * q + 8 * k + 8 * f + (20 * h if workload.zero_stage == 0 else 0)


def _mask(workload: Workload) -> float:
    """Count the bytes of the attention mask of several padded or packed rows, as bools and as a bias (2 bytes)."""
    row = workload.max_tokens if workload.packing else min(workload.max_tokens, workload.tokens // 2)
    return 3 * workload.tokens * row


def _wide_head(workload: Workload) -> float:
    """Count the bytes of the LM head's copy that a CPU multiplies bfloat16 hidden states with, for float32 logits."""
    return 4 * workload.shape.embedding if workload.width == 2 and not workload.device.is_gpu else 0


def _chunk(workload: Workload) -> float:
    most = CHUNK_ELEMENTS["cuda" if workload.device.is_gpu else "cpu"]
    return 4 * min(most, workload.tokens * workload.shape.vocab_size)


def narrow_copies(workload: Workload) -> Terms:
    """Count the bytes of autocast's copies of float32 weights."""
    if workload.zero_stage or workload.width == 4:
        return {}
    unpacked = workload.shape.largest_linear if workload.packed else 0  # one layer at a time
    return {"bfloat16 copies": 2 * (workload.shape.parameters - workload.packed + unpacked)}
