"""The engine of sandboxed tools in monty: calls with the executor's sessions, in the processes of a `Sandbox`."""

from __future__ import annotations

from typing import Any

from mentor.tools.engine import ISOLATION, CallOutcome, Limits
from mentor.tools.monty.monty_check import check_runs
from mentor.tools.monty.sandbox import Sandbox, State
from mentor.tools.sessions import SessionEngine
from mentor.tools.source import Source


class MontyEngine(SessionEngine[State]):
    """Tools that keep no state ignore sessions: their calls run in whichever process is free."""

    isolation = ISOLATION[-1]

    def __init__(self, source: Source, limits: Limits) -> None:
        super().__init__(limits)
        self._source = source
        self._sandbox = Sandbox(source, limits)

    def start(self) -> None:
        if not self._source.checked:
            check_runs(self._source, self.limits)
        self._sandbox.__enter__()

    def stop(self) -> None:
        self._sandbox.__exit__(None, None, None)

    def new_state(self) -> State:
        return State()

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        if self._source.stateless:
            return await self.threads.run(self._sandbox.run_stateless, name, arguments)
        return await super().call(name, arguments, session)

    def run(self, state: State, name: str, arguments: dict[str, Any], keep: bool) -> CallOutcome:
        return self._sandbox.run(state, name, arguments, keep)

    def end(self, state: State) -> None:
        self._sandbox.end(state)
