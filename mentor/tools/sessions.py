"""Engines whose workers block: threads wait for them, and each session has a state between its calls."""

from __future__ import annotations

import asyncio
import threading
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from mentor.errors import ToolError
from mentor.tools.engine import CallOutcome, Limits, ToolEngine
from mentor.tools.threads import CallThreads

S = TypeVar("S")


@dataclass
class ToolSession(Generic[S]):
    """One trajectory between its calls.

    `turn` keeps its calls in order; `busy` keeps them apart even when a call was cancelled whose thread still runs.
    """

    state: S
    ended: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    busy: threading.Lock = field(default_factory=threading.Lock)


class SessionEngine(ToolEngine, Generic[S]):
    """Base of the engines whose calls block. Their methods run in up to `limits.workers` threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._threads: CallThreads | None = None
        self._sessions: dict[str, ToolSession[S]] = {}

    @abstractmethod
    def start(self) -> None:
        """Start the workers, or leave none behind and raise as `open` does."""

    @abstractmethod
    def stop(self) -> None:
        """End the workers."""

    @abstractmethod
    def new_state(self) -> S:
        """The state of a session without calls."""

    @abstractmethod
    def run(self, state: S, name: str, arguments: dict[str, Any], keep: bool) -> CallOutcome:
        """Run a call from a state, which is what the call leaves behind where `keep`."""

    @abstractmethod
    def end(self, state: S) -> None:
        """Free what a state holds."""

    @property
    def ends_slowly(self) -> bool:
        """Whether `end` takes long enough to call it from a thread."""
        return False

    async def open(self) -> None:
        await asyncio.to_thread(self.start)
        self._threads = CallThreads(self.limits.workers)

    @property
    def threads(self) -> CallThreads:
        if self._threads is None:
            raise ToolError("the tool engine is closed")
        return self._threads

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        threads = self.threads
        if session is None:
            return await threads.run(self._run, ToolSession(self.new_state(), ended=True), name, arguments)
        shared = self._sessions.get(session)
        if shared is None:
            shared = self._sessions[session] = ToolSession(self.new_state())
        async with shared.turn:
            return await threads.run(self._run, shared, name, arguments)

    def _run(self, session: ToolSession[S], name: str, arguments: dict[str, Any]) -> CallOutcome:
        with session.busy:
            return self.run(session.state, name, arguments, keep=not session.ended)

    async def end_session(self, session: str) -> None:
        ended = self._sessions.pop(session, None)
        if ended is None:
            return
        ended.ended = True
        async with ended.turn:
            if self.ends_slowly or ended.busy.locked():  # a cancelled call may still run
                await asyncio.to_thread(self._end, ended)
            else:
                self._end(ended)

    def _end(self, session: ToolSession[S]) -> None:
        with session.busy:
            self.end(session.state)

    async def close(self) -> None:
        threads, self._threads = self.threads, None
        await threads.close()
        while self._sessions:
            await self.end_session(next(iter(self._sessions)))
        await asyncio.to_thread(self.stop)
