"""Rollout engines in processes of their own, any number for the ranks of a machine, of either sampler.

Engine e belongs to the local rank e modulo the ranks of the machine, so a rank has several, one or none; a rank without
any gets no rollouts. New weights are written once on each machine, into shared memory, and all its engines read them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import torch

from mentor.policy.ranks import Ranks
from mentor.sampling.sampler import Completion, RolloutEngine, SamplingParams
from mentor.sampling.weight_files import weight_files

POLL_S = 0.0005  # between two looks for an output of any engine; a step of one takes milliseconds
ALIKE = 16  # sessions with one prompt that an engine takes more than another, to compute the prompt once


class SeparateEngine(RolloutEngine, Protocol):
    """An engine in a process of its own; as `Sampler`, of which it is all but `load_weights`.

    has_output: whether `step` returns at once.
    """

    outputs: Sequence[int]

    @property
    def busy(self) -> bool: ...

    @property
    def has_output(self) -> bool: ...

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None: ...

    def step(self) -> list[Completion]: ...

    def end_session(self, session: str) -> None: ...

    def sleep(self) -> None: ...

    def load_files(self, folder: Path) -> None:
        """Load weights from a folder of safetensors files."""

    def close(self) -> None: ...


def engine_count(wanted: int | None, tensor_parallel: int, trained: int) -> int:
    """Count the engines of a machine: as wanted, else as many as fit on the GPUs that no rank trains on, and without a
    GPU one for each rank. trained: ranks of a policy on this machine, 0 where none is trained."""
    if wanted is not None:
        return wanted
    gpus = torch.cuda.device_count()
    return max(1, (gpus - trained) // tensor_parallel if gpus else trained)


def first_gpus(wanted: int | None, tensor_parallel: int, ranks: Ranks | None) -> list[int]:
    """List the first GPU of each engine of this rank, after those that ranks train on. ranks: of a policy, if any."""
    trained, ranks = 0 if ranks is None else ranks.local_size, ranks or Ranks()
    count = engine_count(wanted, tensor_parallel, trained)
    return [trained + index * tensor_parallel for index in range(ranks.local_rank, count, ranks.local_size)]


def open_group(
    starts: Sequence[Callable[[], SeparateEngine]],
    dtype: torch.dtype,
    ranks: Ranks,
    takes_adapter: bool,
    file_dtype: torch.dtype | None,
) -> EngineGroup:
    """Start the engines of this rank, one after another; where one does not start, those before it are closed.

    takes_adapter: as all engines of all ranks. file_dtype: of the weights on their way; None for each weight's own.
    """
    with ExitStack() as started:
        engines = []
        for start in starts:
            engines.append(start())
            started.callback(engines[-1].close)
        started.pop_all()
    return EngineGroup(engines, dtype, ranks, takes_adapter, file_dtype)


class EngineGroup:
    """Implements `Sampler` over the engines of this rank. A session stays with its engine, which has its cache."""

    def __init__(
        self,
        engines: Sequence[SeparateEngine],
        dtype: torch.dtype,
        ranks: Ranks,
        takes_adapter: bool = False,
        file_dtype: torch.dtype | None = None,
    ) -> None:
        self.engines, self.dtype, self.takes_adapter = engines, dtype, takes_adapter
        self.outputs: Sequence[int] = [output for engine in engines for output in engine.outputs]
        self._ranks, self._file_dtype = ranks, file_dtype
        self._engine_of: dict[str, SeparateEngine] = {}
        self._last: tuple[Sequence[int], SeparateEngine] | None = None  # what the newest session began with, and where

    @property
    def busy(self) -> bool:
        return any(engine.busy for engine in self.engines)

    def add_request(self, session: str, token_ids: Sequence[int], params: SamplingParams) -> None:
        """Begin a session on the engine with the fewest; the first of these, so that lockstep repeats.

        One that begins like the session before it joins that one's engine, unless this has ALIKE sessions more.
        """
        engine = self._engine_of.get(session) or self._choose(token_ids)
        engine.add_request(session, token_ids, params)
        self._engine_of[session] = engine

    def _choose(self, token_ids: Sequence[int]) -> SeparateEngine:
        sessions = list(self._engine_of.values())
        chosen = min(self.engines, key=sessions.count)
        if self._last is not None and self._last[0] == token_ids:
            last = self._last[1]
            chosen = last if sessions.count(last) < sessions.count(chosen) + ALIKE else chosen
        self._last = list(token_ids), chosen
        return chosen

    def step(self) -> list[Completion]:
        """Take what the engines have; those without `outputs` are waited for, until the first has something."""
        if self.outputs:
            return [completion for engine in self.engines for completion in engine.step()]
        busy = [engine for engine in self.engines if engine.busy]
        while busy and not (ready := [engine for engine in busy if engine.has_output]):
            time.sleep(POLL_S)
        return [completion for engine in ready for completion in engine.step()] if busy else []

    def end_session(self, session: str) -> None:
        if (engine := self._engine_of.pop(session, None)) is not None:
            engine.end_session(session)

    def sleep(self) -> None:
        """Sessions end. The engines are on no GPU of the policy's, so they keep their weights."""
        for engine in self.engines:
            engine.sleep()
        self._forget()

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Write the weights once on this machine, and load them into its engines, all at once."""
        with weight_files(weights, self._file_dtype, self._ranks) as folder, ThreadPoolExecutor() as threads:
            list(threads.map(lambda engine: engine.load_files(folder), self.engines))
        self._forget()

    def close(self) -> None:
        with ExitStack() as closing:
            for engine in self.engines:
                closing.callback(engine.close)

    def _forget(self) -> None:
        self._engine_of.clear()
        self._last = None
