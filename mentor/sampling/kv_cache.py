"""The KV cache of the embedded sampler: one slot per session, kept across turns.

The caches of transformers grow in step for the whole batch. Here every slot has its own length, so that sessions can
leave, wait for a tool and come back. Decoding sessions are kept at the front, so a decode step reads views, no copies.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from mentor.sampling.packed_rows import PackedRows

GROW = 128  # positions; storage grows in multiples of it


class KVCacheLayer(CacheLayerMixin):
    """One layer: keys and values (slots, kv_heads, capacity, head_dim).

    Before a forward, `rows` and `positions` say where its new keys go: rows (B,) slots, or an int n for the first n;
    positions (B, T) int. Attention then sees the first `width` positions of these rows. Packed rows have positions
    (1, N), and their attention sees the whole layer.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.slots = slots
        self.keys: torch.Tensor = torch.empty(0)
        self.values: torch.Tensor = torch.empty(0)
        self.rows: int | torch.Tensor | PackedRows = 0
        self.positions = torch.empty(0, dtype=torch.long)
        self.width = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        heads, key_dim, value_dim = key_states.shape[1], key_states.shape[3], value_states.shape[3]
        self.keys = key_states.new_zeros(self.slots, heads, 0, key_dim)
        self.values = value_states.new_zeros(self.slots, heads, 0, value_dim)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new keys and values (B, kv_heads, T, head_dim); return those to attend to (B, kv_heads, width, ...)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self._grow(self.width)
        if isinstance(self.rows, int):
            keys, values = self.keys[: self.rows], self.values[: self.rows]
            index = self.positions[:, None, :, None]
            keys.scatter_(2, index.expand(-1, keys.shape[1], -1, keys.shape[3]), key_states)
            values.scatter_(2, index.expand(-1, values.shape[1], -1, values.shape[3]), value_states)
            return keys[:, :, : self.width], values[:, :, : self.width]
        if isinstance(self.rows, PackedRows):
            self.keys[self.rows.slots, :, self.positions[0]] = key_states[0].transpose(0, 1)
            self.values[self.rows.slots, :, self.positions[0]] = value_states[0].transpose(0, 1)
            for copied in self.rows.copies:
                self.copy_row(*copied)
            return self.keys, self.values
        rows = self.rows[:, None]
        self.keys[rows, :, self.positions] = key_states.transpose(1, 2)
        self.values[rows, :, self.positions] = value_states.transpose(1, 2)
        return self.keys[self.rows, :, : self.width], self.values[self.rows, :, : self.width]

    def copy_row(self, source: int, target: int, length: int) -> None:
        self.keys[target, :, :length] = self.keys[source, :, :length]
        self.values[target, :, :length] = self.values[source, :, :length]

    def swap_rows(self, one: int, other: int, length: int) -> None:
        for store in (self.keys, self.values):
            kept = store[one, :, :length].clone()
            store[one, :, :length] = store[other, :, :length]
            store[other, :, :length] = kept

    def _grow(self, width: int) -> None:
        capacity = self.keys.shape[2]
        if width <= capacity:
            return
        more = -(-(width - capacity) // GROW) * GROW
        self.keys, self.values = _longer(self.keys, more), _longer(self.values, more)

    def get_seq_length(self) -> int:
        return self.width

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.width, 0

    def get_max_length(self) -> int:
        return -1


def _longer(store: torch.Tensor, more: int) -> torch.Tensor:
    """Add zeros to every slot, which a mask may then leave out: NaN times no weight would be NaN."""
    slots, heads, capacity, width = store.shape
    longer = store.new_empty(slots, heads, capacity + more, width)
    longer[:, :, :capacity], longer[:, :, capacity:] = store, 0
    return longer


class KVCache(Cache):
    """The layers of one model, as transformers' `past_key_values`."""

    def __init__(self, layers: int, slots: int) -> None:
        self.rows_of = [KVCacheLayer(slots) for _ in range(layers)]
        super().__init__(layers=list(self.rows_of))

    def aim(self, rows: int | torch.Tensor | PackedRows, positions: torch.Tensor, width: int) -> None:
        """Set the slots and positions that the next forward writes, and the width that it attends to."""
        for layer in self.rows_of:
            layer.rows, layer.positions, layer.width = rows, positions, width

    def copy_row(self, source: int, target: int, length: int) -> None:
        for layer in self._used():
            layer.copy_row(source, target, length)

    def swap_rows(self, one: int, other: int, length: int) -> None:
        for layer in self._used():
            layer.swap_rows(one, other, length)

    def _used(self) -> list[KVCacheLayer]:
        """List the layers that store something: in some models the last ones read the keys of earlier ones."""
        return [layer for layer in self.rows_of if layer.is_initialized]
