"""Several sequences in one row: where each goes, and the token ids and positions of the packed rows.

Positions start from 0 at every sequence, which is how transformers' masks keep one sequence from attending to another;
flash attention is told their lengths and has no mask. Not every model does (`layers.keeps_sequences_apart`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass(frozen=True)
class Packing:
    """rows (R, W) of packed tokens. places: (B,) flat index, row * W + column, of each sequence's first token.

    by_lengths: it is one row without gaps, and attention is told the sequences' lengths.
    """

    width: int
    count: int
    places: torch.Tensor
    by_lengths: bool = False

    def attention_arguments(self, device: torch.device) -> dict[str, Any]:
        """Tell attention the sequences by their bounds, (B + 1) int32, under transformers' names; nothing by masks."""
        if not self.by_lengths:
            return {}
        bounds = torch.cat([self.places, self.places.new_tensor([self.width])]).int()
        longest, bounds = int(bounds.diff().max()), bounds.to(device)
        return {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": longest, "max_length_k": longest}

    def pack(self, token_ids: torch.Tensor, attention: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pack token_ids, attention (B, T) to token ids and positions (R, W); the rest of a row is a sequence of 0s."""
        flat = token_ids.new_zeros(self.count * self.width)
        positions = torch.zeros_like(flat)
        columns = torch.arange(token_ids.shape[1], device=flat.device).expand_as(token_ids)
        target = self.index(columns)[attention]
        flat[target] = token_ids[attention]
        positions[target] = columns[attention]
        return flat.view(self.count, self.width), positions.view(self.count, self.width)

    def index(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the flat place of column t of each sequence; columns: (B, T)."""
        return self.places.to(columns.device)[:, None] + columns


def first_fit(lengths: Sequence[int], width: int, rows: int) -> tuple[list[int], Packing]:
    """Put as many sequences as fit into `rows` rows of `width`, in their order; return which, and their places."""
    used = [0] * rows
    taken: list[int] = []
    places: list[int] = []
    for index, length in enumerate(lengths):
        row = next((row for row in range(rows) if used[row] + length <= width), None)
        if row is not None:
            taken.append(index)
            places.append(row * width + used[row])
            used[row] += length
    count = sum(1 for tokens in used if tokens)
    return taken, Packing(width, count, torch.tensor(places, dtype=torch.long))


def packed_parts(
    lengths: torch.Tensor, max_tokens: int, by_lengths: bool = False
) -> Iterator[tuple[torch.Tensor, Packing]]:
    """Yield the sequences of each forward pass and their packing: rows as wide as the longest left, at most
    `max_tokens` in all; by lengths one row.

    lengths: (B,). Every sequence is in exactly one part; a longer one than max_tokens has a row of its own.
    """
    left = torch.argsort(lengths, descending=True, stable=True)
    while len(left):
        width = int(lengths[left[0]])
        if by_lengths:
            taken, packing = first_fit(lengths[left].tolist(), max(width, max_tokens), 1)
            packing = replace(packing, width=int(lengths[left[taken]].sum()), by_lengths=True)
        else:
            taken, packing = first_fit(lengths[left].tolist(), width, max(1, max_tokens // width))
        yield left[taken], packing
        kept = torch.ones(len(left), dtype=torch.bool)
        kept[taken] = False
        left = left[kept]
