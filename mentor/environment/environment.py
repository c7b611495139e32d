"""Multi-turn rollouts of many tasks at once: one coroutine per trajectory, one scheduler for the sampler.

`episode` is the loop of one trajectory, `scheduler` batches the turns of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mentor.chat import ChatFormat
from mentor.environment.episode import Episode
from mentor.environment.requests import RolloutLimits, RolloutRequest
from mentor.environment.scheduler import TurnScheduler
from mentor.sampling.sampler import Sampler
from mentor.tools import Toolbox
from mentor.types import Trajectory


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
        scheduler = TurnScheduler(self.sampler, len(requests), self.lockstep)
        episodes = [
            Episode(index, request, scheduler, self.toolbox, self.chat, self.limits)
            for index, request in enumerate(requests)
        ]
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
