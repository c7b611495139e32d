"""The kinds of layers a model has, and what they allow: packed sequences, no mask of padding, shared prefixes."""

from __future__ import annotations

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from mentor.policy.attention import GROUPED, takes_lengths
from mentor.policy.logits import evaluating, few_tokens
from mentor.policy.packing import Packing
from mentor.policy.prefixes import build_tree

ATTENTION = frozenset({"full_attention", "sliding_attention"})
"""Kinds that see tokens through a mask alone, and count places by positions."""
NO_MEMORY = frozenset({"mlp", "moe"})
APART = 0.02  # of the largest hidden state: experts round differently, and a mask that mixes sequences changes far more


def configured_kinds(config: PreTrainedConfig) -> set[str]:
    """Name the kinds of a model's layers that see other tokens, as transformers does.

    Those that carry state are `linear_attention` (with Mamba and kin), `conv` or `hybrid`.
    """
    text = config.get_text_config(decoder=True)
    everywhere = "sliding_attention" if getattr(text, "sliding_window", None) else "full_attention"
    return set(getattr(text, "layer_types", None) or [everywhere]) - NO_MEMORY


def layer_kinds(model: PreTrainedModel) -> set[str]:
    """Name the kinds of a model's layers, also of one that carries state and names no layers."""
    kinds = configured_kinds(model.config)
    return kinds | ({"linear_attention"} if model._is_stateful and kinds <= ATTENTION else set())


def keeps_sequences_apart(model: PreTrainedModel) -> bool:
    """Whether sequences packed into one row, each with positions from 0, do not change each other.

    A state is carried from one sequence into the next, so only attention is packed. Some models make their masks
    without positions (gpt-oss, in transformers 5.19), so two rows are tried that differ in their first sequence alone:
    the hidden states of the second must be the same. By lengths all four sequences are in one row. Flash attention
    cannot be tried while ZeRO-3 has the weights in the CPU's memory: then nothing is packed.
    """
    by_lengths = takes_lengths(model)
    ids = few_tokens(model)
    if not layer_kinds(model) <= ATTENTION or by_lengths and torch.cuda.is_available() and not ids.is_cuda:
        return False
    length = ids.shape[1]
    rows = torch.cat([torch.cat([ids, ids], dim=1), torch.cat([ids.flip(1), ids], dim=1)])
    positions = torch.arange(length, device=ids.device).repeat(2, 2)
    packing = Packing(2 * length, 2, torch.arange(4) * length)
    if by_lengths:
        rows, positions = rows.view(1, -1), positions.view(1, -1)
        packing = Packing(4 * length, 1, packing.places, by_lengths=True)
    told = packing.attention_arguments(ids.device)
    with evaluating(model):
        hidden = model.get_decoder()(input_ids=rows, position_ids=positions, use_cache=False, **told).last_hidden_state
    one, other = hidden.view(2, 2 * length, -1)[:, length:]
    return bool((one - other).abs().max() <= APART * hidden.abs().max())


def sees_back_alone(model: PreTrainedModel) -> bool:
    """Whether no token sees what comes after it, so that sequences padded on the right need no mask of their padding.

    With a mask torch's attention computes what is masked too, repeats keys and values for grouped queries on a GPU, and
    uses no flash attention there. Two rows are tried that differ in their second half: with a mask that ends before
    it and without one, the hidden states of the first half must be the same. A state may be carried otherwise without
    a mask, so only attention is tried.
    """
    if not layer_kinds(model) <= ATTENTION:
        return False
    ids = few_tokens(model)
    length = ids.shape[1]
    rows = torch.cat([torch.cat([ids, ids], dim=1), torch.cat([ids, ids.flip(1)], dim=1)])
    mask = torch.zeros_like(rows)
    mask[:, :length] = 1
    with evaluating(model):
        hidden = [
            model.get_decoder()(input_ids=rows, attention_mask=given, use_cache=False).last_hidden_state[:, :length]
            for given in (mask, None)
        ]
    (masked, _), (one, other) = hidden
    largest = masked.abs().max()
    return all(bool((found - masked).abs().max() <= APART * largest) for found in (one, other))


def shares_prefixes(model: PreTrainedModel) -> bool:
    """Whether rows that begin alike can be computed as a tree of segments, which must change nothing.

    Attention over segments is full attention by torch's kernels: it knows no windows, states, caps or sinks. Two rows
    are tried that differ in their second half: in a tree, with the first half computed once, and one by one.
    """
    if model.config._attn_implementation != GROUPED or layer_kinds(model) != {"full_attention"}:
        return False
    ids = few_tokens(model)
    length = ids.shape[1]
    rows = torch.cat([torch.cat([ids, ids.flip(1)], dim=1), torch.cat([ids, ids], dim=1)])
    tree = build_tree([2 * length] * 2, [0, length])
    packed, positions = tree.pack(rows, torch.ones_like(rows, dtype=torch.bool))
    told = tree.attention_arguments(ids.device)
    with evaluating(model):
        apart = model.get_decoder()(input_ids=rows, use_cache=False).last_hidden_state
        hidden = model.get_decoder()(input_ids=packed, position_ids=positions, use_cache=False, **told)
    difference = (hidden.last_hidden_state[0, tree.paths.to(ids.device)] - apart).abs().max()
    return bool(difference <= APART * apart.abs().max())
