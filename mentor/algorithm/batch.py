"""Trajectories to padded tensors, in micro-batches of similar length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from mentor.algorithm.loss import token_weights
from mentor.types import Tokens


@dataclass
class Batch:
    """token_ids (B, T) int64, right-padded; attention (B, T) bool, True on real tokens; loss_mask (B, T) bool, True on
    trained ones; weights (B, T) float32, what a trained token counts in the loss; sampler_logprobs (B, T) float32;
    advantages (B,) float32; ref_logprobs (B, T) float32 or None without a KL term.
    """

    token_ids: torch.Tensor
    attention: torch.Tensor
    loss_mask: torch.Tensor
    weights: torch.Tensor
    sampler_logprobs: torch.Tensor
    advantages: torch.Tensor
    ref_logprobs: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.token_ids)

    def micro_batches(self, max_tokens: int) -> Iterator[tuple[torch.Tensor, Batch]]:
        """Rows of similar length together, at most `max_tokens` padded tokens each (one row at least).

        Yields the rows' indices (b,) and the part, cut to its longest row.
        """
        lengths = self.attention.sum(1)
        start = 0
        order = torch.argsort(lengths, descending=True, stable=True)
        while start < len(order):
            width = int(lengths[order[start]])
            rows = order[start : start + max(1, max_tokens // max(width, 1))]
            yield rows, self.take(rows, width)
            start += len(rows)

    def take(self, rows: torch.Tensor, width: int) -> Batch:
        ref = self.ref_logprobs
        return Batch(
            self.token_ids[rows, :width],
            self.attention[rows, :width],
            self.loss_mask[rows, :width],
            self.weights[rows, :width],
            self.sampler_logprobs[rows, :width],
            self.advantages[rows],
            None if ref is None else ref[rows, :width],
        )

    def to(self, device: torch.device) -> Batch:
        ref = self.ref_logprobs
        return Batch(
            self.token_ids.to(device),
            self.attention.to(device),
            self.loss_mask.to(device),
            self.weights.to(device),
            self.sampler_logprobs.to(device),
            self.advantages.to(device),
            None if ref is None else ref.to(device),
        )


def collate(tokens: Sequence[Tokens], advantages: Sequence[float], pad_id: int, loss_mean: str) -> Batch:
    """Pad B token records to one batch; `loss_mean` (token or sequence) sets the weights over all of it."""
    width = max(map(len, tokens))
    shape = (len(tokens), width)
    batch = Batch(
        token_ids=torch.full(shape, pad_id, dtype=torch.long),
        attention=torch.zeros(shape, dtype=torch.bool),
        loss_mask=torch.zeros(shape, dtype=torch.bool),
        weights=torch.zeros(shape),
        sampler_logprobs=torch.zeros(shape),
        advantages=torch.tensor(advantages, dtype=torch.float32),
    )
    for row, record in enumerate(tokens):
        batch.token_ids[row, : len(record)] = torch.tensor(record.token_ids)
        batch.attention[row, : len(record)] = True
        batch.loss_mask[row, : len(record)] = torch.tensor(record.loss_mask, dtype=torch.bool)
        batch.sampler_logprobs[row, : len(record)] = torch.tensor(record.logprobs)
    batch.loss_mask[:, 0] = False  # the first token has no logprob
    batch.weights = token_weights(batch.loss_mask, loss_mean)
    return batch
