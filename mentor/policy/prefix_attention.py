"""Attention over a tree of segments: every token sees those before it in its own row, where rows share their prefixes.

A segment's queries are gathered beside the keys and values of its ancestors and its own. Keys and values of a common
prefix exist once; their gradient is the sum over all segments that attend to them. Segments of similar length attend at
once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import scaled_dot_product_attention
from transformers.integrations.sdpa_attention import repeat_kv


@dataclass(frozen=True)
class Segments:
    """N segments that attend at once. queries (N, Tq), keys (N, Tk): places of their tokens, and 0 behind the last.

    mask: (N, 1, Tq, Tk) bool, True where a query sees a key; None where every segment begins its rows.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    mask: torch.Tensor | None

    def to(self, device: torch.device) -> Segments:
        mask = None if self.mask is None else self.mask.to(device)
        return Segments(self.queries.to(device), self.keys.to(device), mask)


@dataclass(frozen=True)
class SegmentTree:
    """parts: all segments. order: (T,) where the output of each token is among the parts' queries, one after another.

    gather_again: the backward pass gathers queries, keys and values a second time, so that those of a prefix are not
    kept once for every segment that attends to them. A layer that is recomputed keeps nothing anyway.
    """

    parts: Sequence[Segments]
    order: torch.Tensor
    gather_again: bool


def attend_to_segments(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    segments: SegmentTree,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """Attend to (1, T, H, D). query (1, H, T, D), key and value (1, kv_heads, T, D)."""
    outputs = []
    for part in segments.parts:
        # On a GPU the kernels that take a mask have no grouped queries.
        repeats = query.shape[1] // key.shape[1] if query.is_cuda and part.mask is not None else 1
        gathers = [
            _Gather(query[0], part.queries, 1),
            _Gather(key[0], part.keys, repeats),
            _Gather(value[0], part.keys, repeats),
        ]
        taken = queries, keys, values = [gather() for gather in gathers]
        with _gathered_again(gathers, taken) if segments.gather_again else nullcontext():
            output = scaled_dot_product_attention(
                queries, keys, values, part.mask, dropout, part.mask is None, scale=scaling, enable_gqa=True
            )
        outputs.append(output.transpose(1, 2).flatten(0, 1))
    return rows_at(torch.cat(outputs), segments.order)[None]


def rows_at(states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Gather rows of states (T, ...) at places (N,), which may repeat; the sum of their gradients has a fixed order."""
    return states[places] if states.is_cuda else states.index_select(0, places)


@dataclass(frozen=True)
class _Gather:
    """Takes states (H, T, D) at places (N, T') to (N, H * repeats, T', D)."""

    states: torch.Tensor
    places: torch.Tensor
    repeats: int

    def __call__(self) -> torch.Tensor:
        rows = rows_at(self.states.transpose(0, 1), self.places.flatten())
        return repeat_kv(rows.unflatten(0, self.places.shape).transpose(1, 2), self.repeats)

    def detached(self) -> _Gather:
        return replace(self, states=self.states.detach())


def _gathered_again(gathers: Sequence[_Gather], taken: Sequence[torch.Tensor]) -> saved_tensors_hooks:
    """While this is open, autograd saves where tensors were gathered from in place of what was gathered."""

    def identity(tensor: torch.Tensor) -> Hashable:
        return tensor.data_ptr(), tensor.shape, tensor.stride()

    origins: dict[Hashable, _Gather] = {
        identity(tensor): gather.detached() for gather, tensor in zip(gathers, taken, strict=True)
    }

    def pack(saved: torch.Tensor) -> torch.Tensor | _Gather:
        return origins.get(identity(saved), saved)

    def unpack(kept: torch.Tensor | _Gather) -> torch.Tensor:
        return kept() if isinstance(kept, _Gather) else kept

    return saved_tensors_hooks(pack, unpack)
