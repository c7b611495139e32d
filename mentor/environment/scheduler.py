"""The scheduler between the trajectories of a rollout and the sampler, which batches their turns.

Each trajectory is a coroutine that awaits its next turn. One loop steps the sampler for all of them, so a trajectory
that waits for its tool delays no other; a sampler in other processes is waited for like a tool. Lockstep mode starts
turns only when every live trajectory has asked for one, in a fixed order, so that a run repeats exactly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mentor import progress
from mentor.sampling.sampler import Completion, Sampler, SamplingParams
from mentor.timer import timed_part

LOOP_TURNS = 3  # of the event loop between two steps: with one, what a quick call returned waits for a further step
LOOK_S = 1.0  # between two looks at a sampler in other processes that says nothing


class TurnScheduler:
    """Pass the turns that trajectories ask for to the sampler, and its completions back to them.

    live: trajectories that have begun and not ended, by index.
    """

    def __init__(self, sampler: Sampler, lockstep: bool) -> None:
        self.sampler = sampler
        self.lockstep = lockstep
        self.live: set[int] = set()
        self._waiting: dict[int, tuple[Sequence[int], SamplingParams]] = {}  # not yet given to the sampler
        self._futures: dict[str, asyncio.Future[Completion]] = {}
        self._ended: set[int] = set()  # sessions that the sampler still holds
        self._wake = asyncio.Event()

    def begin(self, index: int) -> None:
        """Count trajectory `index` as live, so that lockstep turns wait for it."""
        self.live.add(index)

    async def sample(self, index: int, token_ids: Sequence[int], params: SamplingParams) -> Completion:
        """Sample the next turn of trajectory `index` after `token_ids`."""
        future = asyncio.get_running_loop().create_future()
        self._futures[str(index)] = future
        self._waiting[index] = (token_ids, params)
        self._wake.set()
        return await future

    def end(self, index: int) -> None:
        """Free what the sampler keeps for trajectory `index`; one that was cancelled is freed after its turn."""
        self.live.discard(index)
        self._wake.set()
        if self._waiting.pop(index, None) is not None:
            del self._futures[str(index)]
        if str(index) in self._futures:
            return
        if self.lockstep:
            self._ended.add(index)  # freed between two turns: the sampler must not depend on when a tool returned
        else:
            self.sampler.end_session(str(index))

    async def run(self, for_ever: bool = False) -> None:
        """Step the sampler until every trajectory has ended. for_ever: others begin later, until this is cancelled."""
        with self._outputs_watched():
            while self.live or for_ever:
                self._wake.clear()
                if self._may_start():
                    self._start_turns()
                if self.sampler.busy or self.sampler.outputs:
                    self._step()
                if self.sampler.busy and not self.sampler.outputs:
                    progress.beat()
                    with timed_part("tools"):
                        for _ in range(LOOP_TURNS):  # trajectories run their calls and ask again between two steps
                            await asyncio.sleep(0)
                else:
                    await self._rest()
        self._free_ended()

    def _step(self) -> None:
        for completion in self.sampler.step():
            future = self._futures.pop(completion.session)
            if future.cancelled():
                self.end(int(completion.session))
            else:
                future.set_result(completion)

    async def _rest(self) -> None:
        """Wait until a trajectory asks or ends, or the sampler has an output; step one that is silent, too."""
        sampling = self.sampler.busy
        with timed_part("sampling" if sampling else "tools"):
            try:
                async with asyncio.timeout(LOOK_S if sampling else None):
                    await self._wake.wait()
            except TimeoutError:
                return
        progress.beat()

    @contextmanager
    def _outputs_watched(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for output in self.sampler.outputs:
            loop.add_reader(output, self._wake.set)
        try:
            yield
        finally:
            for output in self.sampler.outputs:
                loop.remove_reader(output)

    def _may_start(self) -> bool:
        if self.lockstep:
            return len(self._waiting) == len(self.live) > 0
        return bool(self._waiting)

    def _start_turns(self) -> None:
        self._free_ended()
        for index in sorted(self._waiting):
            self.sampler.add_request(str(index), *self._waiting[index])
        self._waiting.clear()

    def _free_ended(self) -> None:
        for index in sorted(self._ended):
            self.sampler.end_session(str(index))
        self._ended.clear()
