"""Calls tools: name and arguments in, the text the model sees out.

assistant turn -> **call** -> tool message. Names are looked up and arguments validated here, then passed to the engine
of the toolset as values. A failing tool is a result; only an engine that cannot be used at all is an exception.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from mentor.calls.arguments import MAX_MESSAGE_CHARS, ArgumentValidator
from mentor.errors import ConfigError, ToolError
from mentor.tools.cpython.pool import LEVELS, Limits, Worker, WorkerPool
from mentor.tools.engines import load_failure
from mentor.tools.monty.sandbox import Sandbox, State
from mentor.tools.outcome import Outcome
from mentor.tools.threads import CallThreads
from mentor.tools.toolsets import Toolset
from mentor.types import CallError, ToolResult

ISOLATION = (*LEVELS, "interpreter")  # weakest first; monty runs no instruction of the tools' own
DEFAULT_FLOOR = "landlock+seccomp"


def error_text(kind: CallError, message: str) -> str:
    """What the model is shown for a call that gave no result: one line of JSON, `{"error": ..., "message": ...}`."""
    shown = {"error": kind.value, "message": " ".join(message.split())[:MAX_MESSAGE_CHARS]}
    return json.dumps(shown, ensure_ascii=False)


@dataclass
class _Session:
    """One trajectory between its calls: its state (monty) or its worker (CPython).

    `turn` keeps its calls in order; `busy` keeps them apart even when a call was cancelled whose thread still runs.
    """

    state: State = field(default_factory=State)
    worker: Worker | None = None
    ended: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    busy: threading.Lock = field(default_factory=threading.Lock)


class ToolExecutor:
    """Runs the calls of a toolset in workers of its engine, concurrently; use through `async with`.

    timeout_s: of one call, waiting for a free worker not counted; a call ends at most half a second later.
    memory_mib: of one call's sandbox. workers: calls at once. max_output_chars: longer results are cut with a mark.
    isolation_floor: the least of `ISOLATION` that sandboxed tools run with; trusted ones have no sandbox.
    Raises ConfigError for a limit that is not positive and, on opening, for a floor the host does not reach.

    counts: by CallError value, calls that ended so; by `coerced_<kind>`, arguments read from text (see `coerce`).
    """

    def __init__(
        self,
        toolset: Toolset,
        timeout_s: float = 2.0,
        memory_mib: int = 64,
        workers: int = 2,
        max_output_chars: int = 2000,
        isolation_floor: str = DEFAULT_FLOOR,
    ) -> None:
        limits = (timeout_s, memory_mib, workers, max_output_chars)
        for key, value in zip(("timeout_s", "memory_mib", "workers", "max_output_chars"), limits, strict=True):
            if not value > 0:
                raise ConfigError(f"tools.{key}={value} is not accepted: it must be above 0")
        if isolation_floor not in ISOLATION:
            raise ConfigError(f"tools.isolation_floor={isolation_floor} is not accepted: {', '.join(ISOLATION)}")
        self.toolset = toolset
        self.counts: Counter[str] = Counter()
        self._floor = isolation_floor
        functions = [schema["function"] for schema in toolset.schemas]
        self._validators = {function["name"]: ArgumentValidator(function["parameters"]) for function in functions}
        self._workers = workers
        self._limits = limits
        self._host = None if toolset.host is None else toolset.host(timeout_s, max_output_chars)
        self._engine = self._new_engine() if self._host is None else None
        self._threads: CallThreads | None = None
        self._sessions: dict[str, _Session] = {}

    def _new_engine(self) -> Sandbox | WorkerPool:
        timeout_s, memory_mib, workers, max_output_chars = self._limits
        if self.toolset.engine == "cpython":
            return WorkerPool(self.toolset.loaded, Limits(timeout_s, memory_mib, max_output_chars), spares=workers)
        return Sandbox(self.toolset, timeout_s, memory_mib, workers, max_output_chars)

    @property
    def isolation(self) -> str:
        """The level of `ISOLATION` that calls run with; of CPython workers it is known once the executor was open."""
        if self._host is not None:
            return ISOLATION[0]  # it is this program, or a server's process, with the user's rights
        return self._engine.level if isinstance(self._engine, WorkerPool) else ISOLATION[-1]

    @property
    def summary(self) -> str:
        """One line for the log of whoever opens it: how many tools, which engine and why, which isolation."""
        toolset = self.toolset
        why = f" ({toolset.note})" if toolset.note else ""
        return f"{len(toolset.names)} tools of {toolset.name} in {toolset.engine}{why}, isolation: {self.isolation}"

    async def __aenter__(self) -> ToolExecutor:
        if self._threads is not None:
            raise ToolError("the tool executor is already open")
        if self._host is None:
            await self._open_engine()
        self._threads = CallThreads(self._workers)
        return self

    async def _open_engine(self) -> None:
        self._engine = engine = self._new_engine()
        await asyncio.to_thread(engine.__enter__)
        if isinstance(engine, WorkerPool):
            problem = self._problem(engine)
            if problem is not None:
                await asyncio.to_thread(engine.__exit__, None, None, None)
                raise problem

    def _problem(self, pool: WorkerPool) -> ConfigError | ToolError | None:
        if not self.toolset.trusted and ISOLATION.index(pool.level) < ISOLATION.index(self._floor):
            missing = "; ".join(pool.missing) or "it is the highest level of CPython workers"
            return ConfigError(
                f"tools.isolation_floor={self._floor} is not met: this host gives {pool.level} ({missing})"
            )
        if pool.failure:
            return ToolError(load_failure(pool.failure, self.toolset.source, self.toolset.name))
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the calls that run, at most their time limit, and end every worker."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        await threads.close()
        if self._host is not None:
            await self._host.close()
            return
        while self._sessions:
            await self.end_session(next(iter(self._sessions)))
        if self._engine is not None:
            await asyncio.to_thread(self._engine.__exit__, None, None, None)

    async def call(self, name: str, arguments: dict[str, Any], session: str | None = None) -> ToolResult:
        """The result of one call, or the error text for the model.

        `session`: calls of one id share what the tools' source keeps in globals, in the order they are made; None is a
        session of its own. Tools that keep no state ignore it. Arguments that do not fit the schema but hold as text
        what it asks for are read so, and counted. Raises ToolError outside `async with` and when no worker can be had.
        """
        if self._threads is None:
            raise ToolError("the tool executor is closed: call it inside `async with`")
        validator = self._validators.get(name) if isinstance(name, str) else None
        if validator is None:
            known = ", ".join(self.toolset.names)
            return self._failed(CallError.UNKNOWN_TOOL, f"no tool named {str(name)[:80]!r}, known: {known}")
        problem = validator.problem(arguments)
        if problem is not None:
            arguments, kinds = validator.coerce(arguments)
            if not kinds or validator.problem(arguments) is not None:
                return self._failed(CallError.INVALID_ARGUMENTS, problem)
            self.counts.update(f"coerced_{kind}" for kind in kinds)
        outcome = await self._run(self._threads, name, validator.coerced(arguments), session)
        if outcome.error is not None:
            return self._failed(outcome.error, outcome.text, outcome.seconds)
        return ToolResult(outcome.text, True, None, outcome.seconds)

    async def _run(self, threads: CallThreads, name: str, arguments: dict[str, Any], session: str | None) -> Outcome:
        if self._host is not None:
            return await self._host.call(name, arguments, session)
        if isinstance(self._engine, Sandbox) and self.toolset.stateless:
            return await threads.run(self._engine.run_stateless, name, arguments)
        run = self._in_state if isinstance(self._engine, Sandbox) else self._in_worker
        if session is None:
            return await threads.run(run, _Session(ended=True), name, arguments)
        shared = self._sessions.setdefault(session, _Session())
        async with shared.turn:
            return await threads.run(run, shared, name, arguments)

    def _in_state(self, session: _Session, name: str, arguments: dict[str, Any]) -> Outcome:
        """A call in monty, from the session's state."""
        assert isinstance(self._engine, Sandbox)
        with session.busy:
            return self._engine.run(session.state, name, arguments, keep=not session.ended)

    def _in_worker(self, session: _Session, name: str, arguments: dict[str, Any]) -> Outcome:
        """A call in the session's CPython worker, which is ended after a call that left it in doubt."""
        pool = self._engine
        assert isinstance(pool, WorkerPool)
        with session.busy:
            worker, session.worker = session.worker, None
            if worker is None:
                worker = pool.take()
            keep = False
            try:
                answer, keep = pool.call(worker, name, arguments)
            finally:
                if keep and not session.ended:
                    session.worker = worker
                else:
                    worker.end()
        return Outcome(None if answer.kind == "ok" else CallError(answer.kind), answer.text, answer.seconds)

    async def end_session(self, session: str) -> None:
        """Forget what the calls of this id left behind, and end its worker; an id without calls is fine."""
        if self._host is not None:
            await self._host.end_session(session)
        ended = self._sessions.pop(session, None)
        if ended is None:
            return
        ended.ended = True
        async with ended.turn:
            supervised = isinstance(self._engine, WorkerPool) and self._engine.supervised
            if supervised or ended.busy.locked():  # a keeper takes its time; so does a cancelled call that still runs
                await asyncio.to_thread(self._end, ended)
            else:
                self._end(ended)

    def _end(self, session: _Session) -> None:
        with session.busy:
            if isinstance(self._engine, Sandbox):
                self._engine.end(session.state)
            elif session.worker is not None:
                session.worker.end()
                session.worker = None

    def _failed(self, kind: CallError, message: str, seconds: float = 0.0) -> ToolResult:
        self.counts[kind.value] += 1
        return ToolResult(error_text(kind, message), False, kind, seconds)
