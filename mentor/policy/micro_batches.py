"""Cut a batch into what each rank computes in one pass: rows that share prefixes, packed rows or padded ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch

from mentor.algorithm.batch import Batch, TokenBatch
from mentor.policy.packing import Packing, packed_parts
from mentor.policy.partition import balanced_partition
from mentor.policy.prefixes import PrefixTree, sort_rows

Part = TypeVar("Part", bound=TokenBatch)
LEAST_GAIN = 0.1  # of a batch's tokens: where common prefixes save less, rows are computed as if they had none
Cut = tuple[torch.Tensor, Packing | PrefixTree | None]
"""rows (b,) of a batch, and how they lie together; None: each in a row of its own, padded."""


@dataclass(frozen=True)
class MicroBatch(Generic[Part]):
    """rows: (b,), the batch's rows in it. part: their tensors, on the device. packing: how they lie when not padded.

    filler: it counts nothing, and gives this rank as many micro-batches as the others have.
    """

    rows: torch.Tensor
    part: Part
    packing: Packing | PrefixTree | None = None
    filler: bool = False


@dataclass(frozen=True)
class Layout:
    """How rows lie in a forward pass. share_prefixes: common ones are computed once, where that saves enough. packing:
    otherwise several sequences are in one row, by_lengths all of them. recomputes: layers, for the backward pass."""

    share_prefixes: bool
    packing: bool
    by_lengths: bool
    recomputes: bool

    def cut(self, batch: TokenBatch, max_tokens: int, ranks: int) -> list[list[Cut]]:
        """Cut each rank's rows into parts of at most max_tokens computed tokens, padding included, at least one row."""
        if self.share_prefixes:
            rows = sort_rows(batch.token_ids, batch.lengths)
            if rows.gain >= LEAST_GAIN:
                return [
                    [(part.rows, part.tree(not self.recomputes)) for part in share.micro_batches(max_tokens)]
                    for share in rows.over_ranks(ranks)
                ]
        shares = balanced_partition(batch.lengths.tolist(), ranks)
        return [list(self._cut_apart(batch, share, max_tokens)) if share else [] for share in shares]

    def _cut_apart(self, batch: TokenBatch, share: list[int], max_tokens: int) -> Iterator[Cut]:
        rows = torch.tensor(share, dtype=torch.long)
        part = batch.take(rows)
        if self.packing:
            for inside, packing in packed_parts(part.lengths, max_tokens, self.by_lengths):
                yield rows[inside], packing
        else:
            for inside, _ in part.micro_batches(max_tokens):
                yield rows[inside], None


def micro_batches(
    batch: Part, layout: Layout, max_tokens: int, ranks: int, rank: int, device: torch.device
) -> list[MicroBatch[Part]]:
    """Cut this rank's part of the batch into as many micro-batches as every rank has: each is a collective."""
    cuts = layout.cut(batch, max_tokens, ranks)
    own = [MicroBatch(rows, batch.take(rows).to(device), packing) for rows, packing in cuts[rank]]
    missing = max(map(len, cuts)) - len(own)
    return [*own, *[_filler(batch, device)] * missing] if missing else own


def _filler(batch: Part, device: torch.device) -> MicroBatch[Part]:
    """Make a micro-batch of the shortest row, with weight 0."""
    rows = batch.lengths.argmin()[None]
    part = batch.take(rows).to(device)
    if isinstance(part, Batch):
        part = replace(part, weights=torch.zeros_like(part.weights))
    return MicroBatch(rows, part, filler=True)
