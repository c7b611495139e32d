"""Questions of a user to a teacher behind an endpoint, which gets the tools as in a rollout. Nobody grades them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from mentor.closing import Closing
from mentor.endpoints.spending import NoMoreRequests
from mentor.environment.dialogue import Dialogue, NoAnswer
from mentor.errors import StageError
from mentor.teachers.endpoint_session import EndpointSession
from mentor.teachers.outcomes import Rejection
from mentor.tools import Toolbox
from mentor.types import Task, Trajectory


class EndpointDialogue(Dialogue, Closing):
    """A conversation with an endpoint, which has no tokens. It owns the tools, and closes the endpoint."""

    def __init__(self, session: EndpointSession, toolbox: Toolbox) -> None:
        super().__init__()
        self.session, self.toolbox = session, toolbox
        self._runner, self._open = asyncio.Runner(), AsyncExitStack()
        try:
            self._runner.run(self._start())
        except BaseException:
            self._runner.close()
            raise

    async def _start(self) -> None:
        await self._open.enter_async_context(self.session.endpoint)
        try:
            await self._open.enter_async_context(self.toolbox)
        except BaseException:
            await self._open.aclose()
            raise

    def solve(self, task: Task, number: int) -> Trajectory:
        """Raises NoAnswer for a failed request or a turn that is no use, StageError where no more may be asked."""
        try:
            outcome = self._runner.run(self._attempt(task, number))
        except NoMoreRequests as why:
            raise StageError(str(why)) from None
        if isinstance(outcome, Rejection):
            raise NoAnswer(f"{outcome.reason}: {outcome.detail}")
        return outcome

    async def _attempt(self, task: Task, number: int) -> Trajectory | Rejection:
        async with self.toolbox.lease(task) as executor:
            return await self.session.attempt(task, number, executor)

    def close(self) -> None:
        try:
            self._runner.run(self._open.aclose())
        finally:
            self._runner.close()
