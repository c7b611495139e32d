"""Trajectories as padded tensors, a row for each of their segments, and micro-batches of rows of similar length.

A `TokenBatch` is what a policy scores. A `Batch` is what one optimiser step trains on, with the weight of each token in
the loss. A `PolicyBatch` also holds what policy optimisation needs. Each is built once, whole, and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TypeVar

import torch
from torch.nn.utils.rnn import pad_sequence

from mentor.algorithm.loss import token_weights
from mentor.types import Tokens

B = TypeVar("B", bound="TokenBatch")


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """token_ids: (B, T) int64, right-padded. attention: (B, T) bool, True on real tokens. loss_mask: (B, T) bool, True
    on trained ones. trajectories: (B,) int64, the number of the row's trajectory, whose rows follow each other.
    kept: (B, T, K) int32, the tokens that each trained one was drawn from, itself included; None where it was drawn
    from all. What the policy scores is renormalised among them. listed: (B, T, K) int32, other tokens in the place of
    each trained one whose logprobs the policy gives too; None where none are asked for.
    """

    token_ids: torch.Tensor
    attention: torch.Tensor
    loss_mask: torch.Tensor
    trajectories: torch.Tensor
    kept: torch.Tensor | None = None
    listed: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def lengths(self) -> torch.Tensor:
        """(B,) int64, real tokens of each row."""
        return self.attention.sum(1)

    def micro_batches(self: B, max_tokens: int) -> Iterator[tuple[torch.Tensor, B]]:
        """Yield rows of similar length together, at most `max_tokens` padded tokens each (one row at least).

        Each with the rows' indices (b,), cut to its longest row.
        """
        lengths = self.lengths
        start = 0
        order = torch.argsort(lengths, descending=True, stable=True)
        while start < len(order):
            width = int(lengths[order[start]])
            rows = order[start : start + max(1, max_tokens // max(width, 1))]
            yield rows, self.take(rows)
            start += len(rows)

    def take(self: B, rows: torch.Tensor) -> B:
        """Take these rows (b,), cut to the longest of them; weights stay those of the whole batch."""
        width = int(self.lengths[rows].max())
        return self._with_each(lambda tensor: tensor[rows] if tensor.ndim == 1 else tensor[rows, :width])

    def to(self: B, device: torch.device) -> B:
        """Move every tensor to the device."""
        return self._with_each(lambda tensor: tensor.to(device))

    def _with_each(self: B, change: Callable[[torch.Tensor], torch.Tensor]) -> B:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return replace(self, **{key: change(value) for key, value in values.items() if isinstance(value, torch.Tensor)})


@dataclass(frozen=True, kw_only=True)
class Batch(TokenBatch):
    """weights: (B, T) float32, the weight of each trained token in the loss, zero elsewhere (see `token_weights`)."""

    weights: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class PolicyBatch(Batch):
    """advantages: (B, T) float32, of each token. sampler_logprobs: (B, T) float32, zero where nothing is trained.
    old_logprobs: (B, T) float32, the policy's before the step's first update, None where the sampler's stand for them.
    ref_logprobs: (B, T) float32, None without a KL term in the loss. teacher_logprobs: (B, T, K) float32, the teacher's
    of `listed`, None without a distillation term in the loss.
    """

    advantages: torch.Tensor
    sampler_logprobs: torch.Tensor
    old_logprobs: torch.Tensor | None = None
    ref_logprobs: torch.Tensor | None = None
    teacher_logprobs: torch.Tensor | None = None


def collate(records: Sequence[Tokens], pad_id: int) -> TokenBatch:
    """Pad token records to one batch of B segments."""
    segments = [(number, segment) for number, record in enumerate(records) for segment in record.segments()]
    rows = [segment for _, segment in segments]
    loss_mask = _padded([segment.loss_mask for segment in rows], torch.bool, False)
    loss_mask[:, :1] = False  # the first token has no logprob
    return TokenBatch(
        token_ids=_padded([segment.token_ids for segment in rows], torch.long, pad_id),
        attention=_padded([[True] * len(segment) for segment in rows], torch.bool, False),
        loss_mask=loss_mask,
        trajectories=torch.tensor([number for number, _ in segments], dtype=torch.long),
    )


def sampler_logprobs(records: Sequence[Tokens]) -> torch.Tensor:
    """Pad the sampler's logprobs as `collate` pads tokens: (B, T) float32, zero on context and padding."""
    return _padded([segment.logprobs for record in records for segment in record.segments()], torch.float32, 0.0)


def turn_values(records: Sequence[Tokens], values: Sequence[Sequence[float]]) -> torch.Tensor:
    """Give every token the value of its turn, padded as `collate` pads tokens: (B, T) float32.

    values: (K,) for the K turns of each record, or one for all of it.
    """
    rows: list[torch.Tensor] = []
    for record, of_turns in zip(records, values, strict=True):
        ends = [*record.turn_starts[1 : len(of_turns)], len(record)]
        lengths = torch.tensor([end - start for start, end in pairwise([0, *ends])])
        tokens = torch.tensor(of_turns, dtype=torch.float32).repeat_interleave(lengths)
        rows += tokens.split([end - start for start, end in pairwise([*record.starts, len(record)])])
    return pad_sequence(rows, batch_first=True) if rows else torch.zeros(0, 0)


def supervised_batch(records: Sequence[Tokens], pad_id: int) -> Batch:
    """Build the batch of one supervised step, whose loss is the mean over its trained tokens."""
    tokens = collate(records, pad_id)
    weights = token_weights(tokens.loss_mask, tokens.trajectories, "token")
    return Batch(**vars(tokens), weights=weights)


def _padded(rows: Sequence[Sequence[float]], dtype: torch.dtype, fill: float) -> torch.Tensor:
    """Pad rows on the right to the longest: (B, T)."""
    padded = torch.full((len(rows), max(map(len, rows), default=0)), fill, dtype=dtype)
    for row, values in enumerate(rows):
        padded[row, : len(values)] = torch.tensor(values, dtype=dtype)
    return padded
