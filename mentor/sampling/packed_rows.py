"""Prefill without padding on a CPU: the new tokens of all sessions in one row, each session attending to its own slot.

Everything but attention works on single tokens, so a model runs the packed row as it is. Attention is computed session
by session, over its slot of the KV cache. A prefix that sessions begin with alike is computed once and copied, layer
by layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from operator import eq
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig

PACKED = "packed_rows"
SHARED_TOKENS = 16  # a shorter prefix is computed again rather than copied


@dataclass(frozen=True)
class NewTokens:
    """Those of a session that its slot of the KV cache lacks: its tokens from `start` on."""

    slot: int
    start: int
    token_ids: Sequence[int]


class Copied(NamedTuple):
    """The first `length` positions of slot `target` are those of slot `source`."""

    source: int
    target: int
    length: int


@dataclass(frozen=True)
class PackedRows:
    """The new tokens of some sessions, one session after another, and what is copied before they attend, in order."""

    rows: Sequence[NewTokens]
    copies: Sequence[Copied]

    @cached_property
    def counts(self) -> list[int]:
        return [len(row.token_ids) for row in self.rows]

    @cached_property
    def slots(self) -> torch.Tensor:
        """Return the slot of every token, (N,)."""
        return torch.tensor([row.slot for row in self.rows]).repeat_interleave(torch.tensor(self.counts))

    @cached_property
    def positions(self) -> torch.Tensor:
        """Return the position of every token in its session, (N,)."""
        return torch.cat([torch.arange(row.start, row.start + len(row.token_ids)) for row in self.rows])

    @cached_property
    def token_ids(self) -> torch.Tensor:
        """Return all tokens, (N,)."""
        return torch.tensor([token for row in self.rows for token in row.token_ids])

    @cached_property
    def _views(self) -> dict[int | None, list[_View]]:
        return {}

    def views(self, window: int | None) -> list[_View]:
        """Return what each session's tokens see, within a window of so many tokens."""
        if window not in self._views:
            self._views[window] = [_view(row.start, row.start + len(row.token_ids), window) for row in self.rows]
        return self._views[window]


class _View(NamedTuple):
    """Keys of a slot, and the mask (T, keys) of them, bool; without one they are all seen, or causally from the start.

    Kept for all layers of a forward.
    """

    keys: slice
    mask: torch.Tensor | None
    causal: bool


def _view(start: int, end: int, window: int | None) -> _View:
    first = 0 if window is None else max(0, start - window + 1)
    if end - start == 1:
        return _View(slice(first, end), None, causal=False)
    if start == 0 and (window is None or end <= window):
        return _View(slice(first, end), None, causal=True)
    queries, keys = torch.arange(start, end)[:, None], torch.arange(first, end)
    mask = keys <= queries
    return _View(slice(first, end), mask if window is None else mask & (keys > queries - window), causal=False)


def share_prefixes(rows: Sequence[NewTokens]) -> tuple[list[NewTokens], list[Copied]]:
    """Leave to each session without cached tokens those that no other before it has as well, at least its last one.

    Returns the sessions, reordered, and the copies that give them the others.
    """
    fresh = sorted((row for row in rows if row.start == 0), key=lambda row: list(row.token_ids))
    own, copies = [row for row in rows if row.start > 0] + fresh[:1], []
    for before, row in zip(fresh, fresh[1:], strict=False):
        shared = shared_length(before.token_ids, row.token_ids[:-1])
        if shared < SHARED_TOKENS:
            own.append(row)
            continue
        own.append(NewTokens(row.slot, shared, row.token_ids[shared:]))
        copies.append(Copied(before.slot, row.slot, shared))
    return own, copies


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens that both begin with."""
    return sum(takewhile(bool, map(eq, one, other)))


def packed_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    packed_rows: PackedRows,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend to (1, N, H, D), each session's tokens to its own keys.

    query (1, H, N, D); key and value (slots, kv_heads, capacity, D), the whole layer's, which hold those of the query.
    """
    queries = query.split(packed_rows.counts, dim=2)
    found = [
        scaled_dot_product_attention(
            own,
            key[row.slot, None, :, view.keys],
            value[row.slot, None, :, view.keys],
            view.mask,
            is_causal=view.causal,
            scale=scaling,
            enable_gqa=True,
        )
        for own, row, view in zip(queries, packed_rows.rows, packed_rows.views(sliding_window), strict=True)
    ]
    return torch.cat(found, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(PACKED, packed_attention)
AttentionMaskInterface.register(PACKED, lambda *args, **kwargs: None)


@contextmanager
def packed_forward(config: PreTrainedConfig) -> Iterator[None]:
    """Let the model of that config attend to packed rows while the context is open."""
    before = config._attn_implementation
    config._attn_implementation = PACKED
    try:
        yield
    finally:
        config._attn_implementation = before
