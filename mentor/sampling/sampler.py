"""The interface of a rollout engine (sampler): requests in, completions out, one turn at a time.

A session is one trajectory. Its later requests begin like its earlier ones, mostly with all of their tokens, so a
sampler may keep a KV cache. `step` advances every running request and never waits for a session whose tool is busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from mentor.errors import SamplerError


@dataclass(frozen=True)
class SamplingParams:
    """temperature 0 is greedy. top_k: None keeps all tokens; top_p is of the mass that it leaves.

    `seed` alone decides the random numbers of the request, whatever else runs.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    top_k: int | None = None


@dataclass(frozen=True)
class Completion:
    """One finished turn.

    logprobs: of the sampled tokens under the distribution they were drawn from, so at the request's temperature and
    among the tokens that top_k and top_p left; where the request is greedy, at temperature 1 among all tokens.
    stopped: True when it ended with a token that ends a turn (which is included), False when it ran out of tokens.
    """

    session: str
    token_ids: list[int]
    logprobs: list[float]
    stopped: bool


class RolloutEngine(Protocol):
    """What holds weights of a sampler. Raises SamplerError where it has failed."""

    def logprobs(self, token_ids: Sequence[int], count: int, temperature: float) -> list[float]:
        """Score the last `count` tokens given those before them. No request may be running."""

    def checksums(self) -> dict[str, int] | None:
        """Sum up the weights it holds (`checksum.Checksums`); None where they are the policy's."""


class Sampler(Protocol):
    """dtype: of the weights it computes with. takes_adapter: whether it holds a policy's adapters apart from the base.

    outputs: empty where `step` itself advances the requests. Else they advance in other processes, and these are file
    descriptors, one of which can be read when `step` has something to return.
    Raises SamplerError for an invalid request and a failed engine.
    """

    dtype: torch.dtype
    takes_adapter: bool
    outputs: Sequence[int]

    @property
    def engines(self) -> Sequence[RolloutEngine]:
        """List those of this rank: itself where it is one. Each holds all weights and decodes requests of its own."""

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        """Request the next turn of a session; `token_ids` are all that it is sampled after."""

    def step(self) -> list[Completion]:
        """Advance every running request by at least one token; return those that finished.

        With `outputs`: hand over new requests, and return those that finished so far, without waiting for any.
        """

    def end_session(self, session: str) -> None:
        """Forget a session and free its cache."""

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""

    def sleep(self) -> None:
        """Free memory for a policy update, until `load_weights`. All sessions end; no request may be running."""

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Load new weights by their Hugging Face names and drop everything cached under the old ones.

        Where `takes_adapter` they are the policy's adapters alone, B times alpha / r, else all weights, merged.
        `weights` is read once, in order and to its end, each tensor before the next: each may be an all-gather over
        the ranks. No request may be running.
        """

    def close(self) -> None:
        """Free the engine."""


def check_request(
    session: str,
    token_ids: Sequence[int],
    params: SamplingParams,
    limit: int | None,
    vocabulary: int,
) -> None:
    """Refuse an invalid request. limit: tokens of one request, those to be sampled included."""
    if not token_ids:
        raise SamplerError(f"session {session}: a request needs at least one token")
    if min(token_ids) < 0 or max(token_ids) >= vocabulary:
        unknown = next(token for token in token_ids if not 0 <= token < vocabulary)
        raise SamplerError(f"session {session}: token {unknown}, accepted: 0 to {vocabulary - 1}")
    if params.max_tokens < 1:
        raise SamplerError(f"session {session}: max_tokens is {params.max_tokens}, accepted: 1 or more")
    if limit is not None and len(token_ids) + params.max_tokens > limit:
        raise SamplerError(
            f"session {session}: {len(token_ids)} tokens and {params.max_tokens} to sample are more than the {limit} "
            "of sampler.max_tokens"
        )


def check_scoring(token_ids: Sequence[int], count: int, limit: int | None) -> None:
    """Refuse to score no token, or the first one, which has none before it."""
    if not 0 < count < len(token_ids):
        raise SamplerError(f"logprobs of {count} of {len(token_ids)} tokens, accepted: fewer than the tokens given")
    if limit is not None and len(token_ids) > limit:
        raise SamplerError(
            f"logprobs of {len(token_ids)} tokens, which are more than the {limit} of sampler.max_tokens"
        )
