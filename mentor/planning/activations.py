"""What a forward and a backward pass hold for their tokens: an estimate, counted for Qwen3 as transformers has it.

After Korthikanti et al. (arXiv:2205.05198), without attention scores, which fused attention never keeps.
"""

from __future__ import annotations

from mentor.planning import model_state
from mentor.planning.setting import Setting, Terms, gib, larger

CHUNK_ELEMENTS = {"cpu": 2**22, "cuda": 2**26}  # logits made at once (mentor/policy/head.py), about three times float32


def forward(setting: Setting) -> Terms:
    """The larger of two moments: a layer's turn, with about half of what it would save, and the output head's."""
    hidden = setting.width * setting.shape.hidden_size * setting.tokens
    layer = {"layer at work": setting.tokens * _saved_by_layer(setting) / 2 + 2 * hidden + _mask(setting)}
    head = {"final hidden states": 3 * hidden, "logits chunk": _chunk(setting)}
    return gib({**narrow_copies(setting), **larger(layer, head)})


def backward(setting: Setting) -> Terms:
    """The larger of two moments: the output head's turn, and a layer's, with the gradients it hands over."""
    shape, width = setting.shape, setting.width
    saved = _saved_by_layer(setting)
    stream = 4 if setting.zero_stage == 0 else width
    kept, recomputed = (stream * shape.hidden_size, saved) if setting.gradient_checkpointing else (saved, 0)
    layer = recomputed + width * (2 * shape.intermediate_size + 3 * shape.hidden_size)
    # Float32 (plain torch adds to the gradient it keeps), and the product added to it, in bfloat16 a tensor of its own.
    head = 0 if setting.lora_rank else ((4 if setting.zero_stage else 0) + (2 if width == 2 else 0)) * shape.embedding
    final = 6 * width * shape.hidden_size * setting.tokens
    head_turn = {"final hidden states": final, "logits chunk": _chunk(setting), "head gradient": head}
    at_work = layer * setting.tokens + _mask(setting)
    layer_turn = {"layer at work": at_work, "new gradients": model_state.new_gradients(setting)}
    kept_by_all = {"kept activations": shape.num_hidden_layers * kept * setting.tokens}
    return gib({**narrow_copies(setting), **kept_by_all, **larger(head_turn, layer_turn)})


def _saved_by_layer(setting: Setting) -> float:
    """Bytes a layer saves for its backward pass, per token: norms, queries and keys, values, feed-forward part.

    In transformers a norm works in float32 and keeps its input, the normalised and the scaled one; queries and keys are
    normalised too, and are repeated for grouped attention with a mask. Under autocast norms stay in float32.
    """
    shape = setting.shape
    h, q, k, f = shape.hidden_size, shape.query_size, shape.key_size, shape.intermediate_size
    if setting.width == 4:
        return 24 * h + 24 * q + 16 * k + 16 * f
    return 16 * h + 14 * q + 8 * k + 8 * f + (20 * h if setting.zero_stage == 0 else 0)


def _mask(setting: Setting) -> float:
    """Of several padded or packed rows, as bools and as a bias (2 bytes); one row alone needs none."""
    row = setting.max_tokens if setting.packing else min(setting.max_tokens, setting.tokens // 2)
    return 3 * setting.tokens * row


def _chunk(setting: Setting) -> float:
    most = CHUNK_ELEMENTS["cuda" if setting.device.is_gpu else "cpu"]
    return 3 * 4 * min(most, setting.tokens * setting.shape.vocab_size)


def narrow_copies(setting: Setting) -> Terms:
    """Autocast's copies of float32 weights, in bytes."""
    if setting.zero_stage or setting.width == 4:
        return {}
    return {"bfloat16 copies": 2 * setting.shape.parameters}
