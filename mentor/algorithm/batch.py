"""Trajectories to padded tensors, a row for each of their segments, in micro-batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch

from mentor.algorithm.loss import token_weights
from mentor.types import Tokens


@dataclass
class Batch:
    """token_ids (B, T) int64, right-padded; attention (B, T) bool, True on real tokens; loss_mask (B, T) bool, True on
    trained ones; weights (B, T) float32, what a trained token counts in the loss; sampler_logprobs (B, T) float32;
    advantages (B,) float32; trajectories (B,) int64, the number of the row's trajectory, whose rows follow each other;
    ref_logprobs (B, T) float32 or None without a KL term; old_logprobs (B, T) float32, the
    policy's own before a step's first update, or None where they are not asked for.
    """

    token_ids: torch.Tensor
    attention: torch.Tensor
    loss_mask: torch.Tensor
    weights: torch.Tensor
    sampler_logprobs: torch.Tensor
    advantages: torch.Tensor
    trajectories: torch.Tensor
    ref_logprobs: torch.Tensor | None = None
    old_logprobs: torch.Tensor | None = None

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
        """These rows, cut to `width` tokens; weights stay those of the whole."""
        return self._with_each(lambda tensor: tensor[rows] if tensor.ndim == 1 else tensor[rows, :width])

    def to(self, device: torch.device) -> Batch:
        return self._with_each(lambda tensor: tensor.to(device))

    def _with_each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return replace(self, **{key: change(value) for key, value in values.items() if isinstance(value, torch.Tensor)})


def collate(
    tokens: Sequence[Tokens], advantages: Sequence[float], pad_id: int, loss_mean: str, max_tokens: int | None = None
) -> Batch:
    """Pad token records, with an advantage each, to one batch of B segments, whose weights are those of one minibatch
    (see `token_weights`)."""
    rows = [(number, segment) for number, record in enumerate(tokens) for segment in record.segments()]
    shape = (len(rows), max((len(segment) for _, segment in rows), default=0))
    trajectories = torch.tensor([number for number, _ in rows], dtype=torch.long)
    batch = Batch(
        token_ids=torch.full(shape, pad_id, dtype=torch.long),
        attention=torch.zeros(shape, dtype=torch.bool),
        loss_mask=torch.zeros(shape, dtype=torch.bool),
        weights=torch.zeros(shape),
        sampler_logprobs=torch.zeros(shape),
        advantages=torch.tensor(advantages, dtype=torch.float32)[trajectories],
        trajectories=trajectories,
    )
    for row, (_, record) in enumerate(rows):
        batch.token_ids[row, : len(record)] = torch.tensor(record.token_ids)
        batch.attention[row, : len(record)] = True
        batch.loss_mask[row, : len(record)] = torch.tensor(record.loss_mask, dtype=torch.bool)
        batch.sampler_logprobs[row, : len(record)] = torch.tensor(record.logprobs)
    batch.loss_mask[:, :1] = False  # the first token has no logprob
    batch.weights = token_weights(batch.loss_mask, batch.trajectories, loss_mean, max_tokens)
    return batch
