"""Rows that begin alike as a tree of segments, in which every common prefix is computed once.

The members of a group share their prompt, and often the first tokens of their answers. One forward pass runs over all
segments in a row without padding. Each token attends to those before it in its own row, which lie in its segment and in
the segment's ancestors; positions count within the row. What rows share gets the sum of their gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from mentor.policy.prefix_attention import Segments, SegmentTree

SHORTEST = 8  # tokens of a segment that rows share: what is shorter is computed in each of them
KEYS = 2  # times the tokens of a tree that are attended to at once, as keys and values gathered from it
ALIKE = 0.85  # of the longest one's tokens, ancestors included: segments that long attend at once


@dataclass(frozen=True)
class Segment:
    """Tokens start to end of a row, and of all others that share them."""

    row: int
    start: int
    end: int


@dataclass(frozen=True)
class PrefixTree:
    """paths: (B, T) place of each token of each row, the same where rows share it. size: tokens in all.

    gather_again: see `SegmentTree`.
    """

    paths: torch.Tensor
    size: int
    segments: Sequence[Segment]
    gather_again: bool = True

    def pack(self, token_ids: torch.Tensor, attention: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Lay token_ids, attention (B, T) out as token ids and positions (1, size)."""
        ids = token_ids.new_zeros(self.size)
        positions = torch.zeros_like(ids)
        places = self.paths.to(ids.device)[attention]
        ids[places] = token_ids[attention]
        positions[places] = torch.arange(token_ids.shape[1], device=ids.device).expand_as(token_ids)[attention]
        return ids[None], positions[None]

    def index(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the place of column t of each row; columns: (B, T)."""
        return self.paths.to(columns.device).gather(1, columns)

    def attention_arguments(self, device: torch.device) -> dict[str, Any]:
        """Tell attention the segments. transformers makes no mask where it is given one of four dimensions."""
        order = torch.zeros(self.size, dtype=torch.long)
        parts, count = [], 0
        for alike in _of_similar_length(self.segments, KEYS * self.size):
            part, real = self._part(alike)
            order[part.queries[real]] = count + torch.arange(part.queries.numel()).view_as(part.queries)[real]
            count += part.queries.numel()
            parts.append(part.to(device))
        tree = SegmentTree(parts, order.to(device), self.gather_again)
        return {"segments": tree, "attention_mask": torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)}

    def _part(self, segments: Sequence[Segment]) -> tuple[Segments, torch.Tensor]:
        """Return the segments as attention takes them, and which of their queries (N, Tq) are no padding."""
        rows = self.paths[[segment.row for segment in segments]]
        starts, ends = torch.tensor([(segment.start, segment.end) for segment in segments])[..., None].unbind(1)
        columns = starts + torch.arange(int((ends - starts).max()))
        seen = torch.arange(int(ends.max()))
        real = columns < ends
        queries = rows.gather(1, columns.where(real, 0)).where(real, 0)
        keys = rows[:, : len(seen)].where(seen < ends, 0)
        mask = (seen <= columns[..., None])[:, None] if starts.any() else None
        return Segments(queries, keys, mask), real


def _of_similar_length(segments: Sequence[Segment], max_keys: int) -> Iterator[list[Segment]]:
    """Yield the segments that begin their rows, then the others, by length; at most max_keys keys at once."""
    left = sorted(segments, key=lambda segment: (segment.start > 0, -segment.end, segment.row))
    while left:
        first = left[0]
        alike = [s for s in left if (s.start > 0) == (first.start > 0) and s.end >= ALIKE * first.end]
        count = max(1, min(len(alike), max_keys // first.end))
        yield left[:count]
        left = left[count:]


@dataclass(frozen=True)
class SortedRows:
    """Rows in the order of a dictionary. rows: (B,) their indices. lengths: (B,). shared: (B,) tokens that each has in
    common with the one before."""

    rows: torch.Tensor
    lengths: torch.Tensor
    shared: torch.Tensor

    @property
    def added(self) -> torch.Tensor:
        """(B,) at most the tokens that each row adds to a tree of those before it."""
        return self.lengths - (self.shared - SHORTEST + 1).clamp(min=0)

    @property
    def gain(self) -> float:
        """The share of all tokens that one tree of them saves, at least."""
        return 1 - float(self.added.sum() / self.lengths.sum())

    def between(self, first: int, last: int) -> SortedRows:
        """Take the rows first to last of them; the first shares nothing."""
        part = SortedRows(*(each[first:last].clone() for each in (self.rows, self.lengths, self.shared)))
        part.shared[:1] = 0
        return part

    def over_ranks(self, ranks: int) -> Iterator[SortedRows]:
        """Give each rank rows that follow each other, so that the most tokens that a rank computes are few."""
        ends = self.added.cumsum(0)
        before, again = ends - self.added, self.lengths - self.added
        cuts = [0]
        for rank in range(1, ranks):
            even = float(ends[-1]) * rank / ranks
            most = torch.maximum(before - even, even - before + again)
            cuts.append(max(cuts[-1], int(most.argmin())))
        return (self.between(first, last) for first, last in pairwise([*cuts, len(self.rows)]))

    def micro_batches(self, max_tokens: int) -> Iterator[SortedRows]:
        """Cut into parts of at most max_tokens computed tokens, at least one row, where neighbours share least."""
        first = 0
        while first < len(self.rows):
            left = self.between(first, len(self.rows))
            count = max(1, int((left.added.cumsum(0) <= max_tokens).sum()))
            if count < len(left.rows):
                half = (count + 1) // 2
                weakest = left.shared[half : count + 1].flip(0).argmin()  # the last of them
                count -= int(weakest)
            yield left.between(0, count)
            first += count

    def tree(self, gather_again: bool) -> PrefixTree:
        """Build the tree of all these rows."""
        return replace(build_tree(self.lengths.tolist(), self.shared.tolist()), gather_again=gather_again)


def sort_rows(token_ids: torch.Tensor, lengths: torch.Tensor) -> SortedRows:
    """Sort rows, token_ids (B, T) of lengths (B,), so that those with a common prefix follow each other."""
    words = [row[:length] for row, length in zip(token_ids.tolist(), lengths.tolist(), strict=True)]
    order = torch.tensor(sorted(range(len(words)), key=words.__getitem__), dtype=torch.long)
    rows, lengths = token_ids[order], lengths[order]
    shared = torch.zeros_like(lengths)
    shared[1:] = (rows[1:] == rows[:-1]).cumprod(1).sum(1).minimum(lengths[1:]).minimum(lengths[:-1])
    return SortedRows(order, lengths, shared)


def build_tree(lengths: Sequence[int], shared: Sequence[int]) -> PrefixTree:
    """Build the tree of sorted rows; shared: tokens that each has in common with the one before.

    What a range of rows has in common is a segment; the range is then cut where neighbours have no more than that.
    """
    paths = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    segments: list[Segment] = []
    size, left = 0, [(0, len(lengths), 0)]
    while left:
        first, last, start = left.pop()
        alone = last == first + 1
        common = lengths[first] if alone else min(shared[first + 1 : last])
        if common - start >= (1 if alone else SHORTEST):
            segments.append(Segment(first, start, common))
            paths[first:last, start:common] = torch.arange(size, size + common - start)
            size += common - start
            start = common
        if not alone:
            cuts = [first, *(row for row in range(first + 1, last) if shared[row] == common), last]
            left += [(one, other, start) for one, other in pairwise(cuts)][::-1]  # the first is taken next
    return PrefixTree(paths, size, segments)
