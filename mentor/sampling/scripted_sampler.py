"""A sampler that replays turns written beforehand, so that they go through the environment as a model's would."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import torch

from mentor.sampling.sampler import Completion, SamplingParams


class ScriptedSampler:
    """`script[session]` holds the token ids of the session's turns, in order; logprobs are 0. It has no weights.

    end_ids: the tokens that end a turn.
    """

    dtype = torch.float32
    takes_adapter = False
    outputs: Sequence[int] = ()

    def __init__(self, script: Mapping[str, Sequence[Sequence[int]]], end_ids: Collection[int]) -> None:
        self._turns = {session: iter(turns) for session, turns in script.items()}
        self._end_ids = end_ids
        self._asked: list[str] = []

    @property
    def engines(self) -> list[ScriptedSampler]:
        return [self]

    @property
    def busy(self) -> bool:
        return bool(self._asked)

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        self._asked.append(session)

    def step(self) -> list[Completion]:
        asked, self._asked = self._asked, []
        return [self._completion(session, list(next(self._turns[session]))) for session in asked]

    def _completion(self, session: str, token_ids: list[int]) -> Completion:
        return Completion(session, token_ids, [0.0] * len(token_ids), stopped=token_ids[-1] in self._end_ids)

    def end_session(self, session: str) -> None:
        self._turns.pop(session)

    def logprobs(self, token_ids: Sequence[int], count: int, temperature: float) -> list[float]:
        return [0.0] * count

    def sleep(self) -> None:
        """It holds nothing to free."""

    def checksums(self) -> None:
        return None

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        for _ in weights:
            pass

    def close(self) -> None:
        """It holds nothing to free."""
