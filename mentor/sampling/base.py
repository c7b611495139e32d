"""The contract between the environment and whatever samples: requests in, completions out, one turn at a time.

A session is one trajectory: its later requests extend the tokens of its earlier ones, so a sampler may keep a cache.
`step` advances everything that runs and never waits for a session that has no request (its tool is still busy).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class SamplingParams:
    """temperature 0 is greedy; `seed` alone decides the random numbers of the request, whatever else runs."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """One finished turn.

    logprobs: of the sampled tokens at the request's temperature (1 when greedy), before top_p. stopped: True when it
    ended with the end-of-turn token (which is included), False when it ran out of tokens.
    """

    session: str
    token_ids: list[int]
    logprobs: list[float]
    stopped: bool


class Sampler(Protocol):
    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        """Ask for the next turn of a session; `token_ids` are all of its tokens so far."""

    def step(self) -> list[Completion]:
        """Advance every running request by at least one token; returns those that finished."""

    def end_session(self, session: str) -> None:
        """Forget a session and free what is kept for it."""

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Take new weights; everything cached under the old ones is dropped. No request may be running."""

    def close(self) -> None:
        """Free the engine."""
