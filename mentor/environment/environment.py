"""Multi-turn rollouts of many tasks at once: one coroutine per trajectory, one scheduler for the sampler.

`episode` is the loop of one trajectory, `scheduler` batches the turns of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from mentor.chat import ChatFormat
from mentor.environment.episode import Episode
from mentor.environment.requests import RolloutLimits, RolloutRequest
from mentor.environment.scheduler import TurnScheduler
from mentor.sampling.sampler import Sampler
from mentor.tools import Toolbox
from mentor.types import Trajectory

OnMessage = Callable[[dict[str, Any]], None]
Begin = Callable[[RolloutRequest, OnMessage], Episode]
"""Begin a trajectory, whose `run` is to be awaited or cancelled."""


class Environment:
    """Tools and a sampler, ready for rollouts; a context manager that owns the tools' event loop and workers."""

    def __init__(
        self, sampler: Sampler, toolbox: Toolbox, chat: ChatFormat, limits: RolloutLimits, lockstep: bool = False
    ) -> None:
        self.sampler, self.toolbox, self.chat = sampler, toolbox, chat
        self.limits, self.lockstep = limits, lockstep

    def __enter__(self) -> Environment:
        self._runner = asyncio.Runner()
        self._runner.run(self.toolbox.__aenter__())
        return self

    def __exit__(self, *exception: Any) -> None:
        try:
            self._runner.run(self.toolbox.__aexit__(*exception))
        finally:
            self._runner.close()

    def rollout(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        """Produce one trajectory per request, in their order."""
        return self._runner.run(self._rollout(requests))

    async def _rollout(self, requests: Sequence[RolloutRequest]) -> list[Trajectory]:
        scheduler = TurnScheduler(self.sampler, self.lockstep)
        episodes = [self._episode(scheduler, index, request) for index, request in enumerate(requests)]
        tasks = [asyncio.create_task(episode.run()) for episode in episodes]
        scheduling = asyncio.create_task(scheduler.run())
        try:
            done, _ = await asyncio.wait([scheduling, *tasks], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # a bug in the scheduler or in a trajectory ends the rollout with its traceback
            return [task.result() for task in tasks]
        finally:
            for task in (scheduling, *tasks):
                task.cancel()

    def run_open(self, use: Callable[[Begin], Awaitable[None]]) -> None:
        """Run `use`, which begins trajectories as it likes; all that live at once share the sampler.

        Raises what `use` raises, and what the sampler does, which ends `use`.
        """
        self._runner.run(self._run_open(use))

    async def _run_open(self, use: Callable[[Begin], Awaitable[None]]) -> None:
        scheduler, numbers = TurnScheduler(self.sampler, self.lockstep), count()

        def begin(request: RolloutRequest, on_message: OnMessage) -> Episode:
            return self._episode(scheduler, next(numbers), request, on_message)

        tasks = [asyncio.ensure_future(use(begin)), asyncio.create_task(scheduler.run(for_ever=True))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _episode(
        self,
        scheduler: TurnScheduler,
        index: int,
        request: RolloutRequest,
        on_message: OnMessage = lambda message: None,
    ) -> Episode:
        limits = self.limits
        if request.max_turn_tokens is not None:
            limits = replace(limits, max_turn_tokens=min(request.max_turn_tokens, limits.max_turn_tokens))
        return Episode(index, request, scheduler, self.toolbox, self.chat, limits, on_message)
