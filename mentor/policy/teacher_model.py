"""The teacher of on-policy distillation as a frozen model in this process, and what any such teacher says of tokens."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple, Protocol

import torch

from mentor.algorithm.batch import TokenBatch
from mentor.policy.lm_head import MostLikely
from mentor.policy.policy import Policy
from mentor.policy.reference import awake


class TeacherScores(NamedTuple):
    """Of each trained token, 0 elsewhere: its logprob, (B, T) float32, and where wanted the teacher's K most likely
    tokens in its place, (B, T, K) int32, with their logprobs, (B, T, K) float32. All at temperature 1."""

    logprobs: torch.Tensor
    listed: torch.Tensor | None = None
    listed_logprobs: torch.Tensor | None = None


class ScoringTeacher(Protocol):
    def score(self, batch: TokenBatch) -> TeacherScores:
        """Score each trained token. Every rank calls it with the whole batch and gets the whole result."""


class TeacherModel:
    """Implements `ScoringTeacher`. most_likely: which tokens are listed. device: that an offloaded model scores on."""

    def __init__(
        self, frozen: Policy, most_likely: MostLikely | None = None, device: torch.device | None = None
    ) -> None:
        self.frozen, self.most_likely, self.device = frozen, most_likely, device

    def score(self, batch: TokenBatch) -> TeacherScores:
        with nullcontext() if self.device is None else awake(self.frozen, self.device):
            if self.most_likely is None:
                return TeacherScores(self.frozen.logprobs(batch))
            return TeacherScores(*self.frozen.most_likely(batch, self.most_likely))
