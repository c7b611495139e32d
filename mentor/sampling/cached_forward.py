"""Forwards of a model over the embedded sampler's KV cache: the prefill of new tokens, and one token of every row.

Where the model attends with `GROUPED` on a CPU, new tokens are packed (`packed_rows`), which no padding is computed
for. Else rows of like length are padded to one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from mentor.errors import SamplerError
from mentor.policy.attention import GROUPED
from mentor.policy.layers import ATTENTION, layer_kinds
from mentor.sampling.kv_cache import KVCache
from mentor.sampling.packed_rows import NewTokens, PackedRows, packed_forward, share_prefixes

MASKED = (GROUPED, "sdpa", "eager")  # implementations of attention that take a mask of queries and keys
PACKED_TOKENS = 2048  # of one prefill forward: what a layer computes of them stays in the CPU's cache
PADDED_TOKENS = 8192  # of one prefill forward, padding included
LIKE_LENGTH = 0.75  # of the longest of the rows that are padded together


class CachedForward:
    """A model whose layers attend to all tokens or to a sliding window, with a cache of `slots` sessions.

    dtype: of its forward pass. Keys and values outside a window are kept too. Raises SamplerError for another model.
    """

    def __init__(self, model: PreTrainedModel, slots: int, dtype: torch.dtype) -> None:
        self._kinds = layer_kinds(model)
        if state := sorted(self._kinds - ATTENTION):
            raise SamplerError(
                "sampler=transformers decodes attention over all tokens or a sliding window, this model has layers of "
                f"{', '.join(state)}: choose sampler=vllm"
            )
        if (attention := model.config._attn_implementation) not in MASKED:
            raise SamplerError(
                f"sampler=transformers decodes with a mask, which attention={attention} does not take; "
                f"accepted: {', '.join(MASKED)}, or sampler=vllm"
            )
        self.model, self.dtype = model, dtype
        self.device = next(model.parameters()).device
        self._slots = slots
        self._config = model.config.get_text_config(decoder=True)
        self._packs = attention == GROUPED and self.device.type == "cpu"
        self.forget()

    def forget(self) -> None:
        """Drop everything cached, and its memory."""
        self.cache = KVCache(self._config.num_hidden_layers, self._slots)

    def prefill(self, rows: Sequence[NewTokens]) -> torch.Tensor:
        """Cache the new tokens of each row; return the hidden states (B, H) of the last ones."""
        last: dict[int, torch.Tensor] = {}  # by slot
        for slots, hidden in self._packed(rows) if self._packs else self._padded(rows):
            last.update(zip(slots, hidden, strict=True))
        return torch.stack([last[row.slot] for row in rows])

    def decode(self, token_ids: Sequence[int], cached: Sequence[int]) -> torch.Tensor:
        """Cache one token of each of the first slots, which have `cached` ones; return hidden states (B, H)."""
        positions = torch.tensor(cached)[:, None]
        return self._masked(torch.tensor(token_ids)[:, None], positions, len(token_ids))[:, 0]

    def _packed(self, rows: Sequence[NewTokens]) -> Iterator[tuple[list[int], torch.Tensor]]:
        own, copies = share_prefixes(rows)
        source_of = {copied.target: copied for copied in copies}
        for chunk in _packed_chunks(own):
            packed = PackedRows(chunk, [source_of[row.slot] for row in chunk if row.slot in source_of])
            positions = packed.positions[None]
            self.cache.aim(packed, positions, int(positions.max()) + 1)
            with packed_forward(self._config):
                hidden = self._run(packed.token_ids[None], positions, packed_rows=packed)
            yield [row.slot for row in chunk], hidden[0, torch.tensor(packed.counts).cumsum(0) - 1]

    def _padded(self, rows: Sequence[NewTokens]) -> Iterator[tuple[list[int], torch.Tensor]]:
        for chunk in _padded_chunks(rows):
            length = max(len(row.token_ids) for row in chunk)
            ids = torch.tensor([[*row.token_ids, *[0] * (length - len(row.token_ids))] for row in chunk])
            positions = torch.tensor([row.start for row in chunk])[:, None] + torch.arange(length)
            slots = [row.slot for row in chunk]
            hidden = self._masked(ids, positions, torch.tensor(slots))
            last = torch.tensor([len(row.token_ids) - 1 for row in chunk], device=self.device)
            yield slots, hidden[torch.arange(len(chunk), device=self.device), last]

    def _masked(self, ids: torch.Tensor, positions: torch.Tensor, slots: int | torch.Tensor) -> torch.Tensor:
        """Run tokens (B, T) at their positions (B, T) of slots (B,), or of the first `slots`: (B, T, H)."""
        width = int(positions.max()) + 1
        masks = {kind: self._mask(kind, positions, width).to(self.device) for kind in self._kinds}
        positions = positions.to(self.device)
        self.cache.aim(slots if isinstance(slots, int) else slots.to(self.device), positions, width)
        mask = masks if len(masks) > 1 else masks.popitem()[1]
        return self._run(ids.to(self.device), positions, attention_mask=mask)

    def _run(self, ids: torch.Tensor, positions: torch.Tensor, **attention: Any) -> torch.Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            hidden: torch.Tensor = self.model.get_decoder()(
                input_ids=ids, position_ids=positions, past_key_values=self.cache, use_cache=True, **attention
            ).last_hidden_state
        return hidden

    def _mask(self, kind: str, positions: torch.Tensor, width: int) -> torch.Tensor:
        """Mask keys of a layer for queries (B, T): up to the query itself, within the window.

        (B, 1, T, width), bool, for eager attention what it adds to the scores.
        """
        keys, queries = torch.arange(width)[None, None], positions[:, :, None]
        mask = keys <= queries
        if kind == "sliding_attention":
            mask &= keys > queries - self._config.sliding_window
        if self.model.config._attn_implementation == "eager":
            mask = torch.where(mask, 0.0, torch.finfo(self.model.dtype).min).to(self.model.dtype)
        return mask[:, None]


def _packed_chunks(rows: Iterable[NewTokens]) -> Iterator[list[NewTokens]]:
    """Take rows in their order while they have at most PACKED_TOKENS, at least one."""
    chunk: list[NewTokens] = []
    tokens = 0
    for row in rows:
        tokens += len(row.token_ids)
        if chunk and tokens > PACKED_TOKENS:
            yield chunk
            chunk, tokens = [], len(row.token_ids)
        chunk.append(row)
    yield chunk


def _padded_chunks(rows: Iterable[NewTokens]) -> Iterator[list[NewTokens]]:
    """Take the longest rows first, and with them those that are not much shorter."""
    chunk: list[NewTokens] = []
    for row in sorted(rows, key=lambda row: -len(row.token_ids)):
        longest = len((chunk or [row])[0].token_ids)
        if chunk and (longest * (len(chunk) + 1) > PADDED_TOKENS or len(row.token_ids) < LIKE_LENGTH * longest):
            yield chunk
            chunk = []
        chunk.append(row)
    yield chunk
