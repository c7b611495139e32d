"""Calls tools: name and arguments in, the text the model sees out.

assistant turn -> **call** -> tool message. Names are looked up and arguments validated here, then passed to the sandbox
as values. A failing tool is a result; only a sandbox that cannot be used at all is an exception.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from mentor.errors import ConfigError, ToolError
from mentor.tools.sandbox import Outcome, Sandbox
from mentor.tools.toolsets import Toolset
from mentor.tools.validation import MAX_MESSAGE_CHARS, ArgumentValidator
from mentor.types import CallError, ToolResult

InThread = Callable[..., Awaitable[Outcome]]


def error_text(kind: CallError, message: str) -> str:
    """What the model is shown for a call that gave no result: one line of JSON, `{"error": ..., "message": ...}`."""
    shown = {"error": kind.value, "message": " ".join(message.split())[:MAX_MESSAGE_CHARS]}
    return json.dumps(shown, ensure_ascii=False)


@dataclass
class _Session:
    """One trajectory's state between calls; the lock keeps its calls in order."""

    state: bytes | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ToolExecutor:
    """Runs the calls of a toolset in sandboxed workers, concurrently; use through `async with`.

    timeout_s: of one call, waiting for a free worker not counted; a call ends at most half a second later.
    memory_mib: of one call's sandbox. workers: processes, each one call at a time. max_output_chars: longer results are
    cut with a mark. Raises ConfigError for a limit that is not positive.
    """

    def __init__(
        self,
        toolset: Toolset,
        timeout_s: float = 2.0,
        memory_mib: int = 64,
        workers: int = 2,
        max_output_chars: int = 2000,
    ) -> None:
        limits = (timeout_s, memory_mib, workers, max_output_chars)
        for key, value in zip(("timeout_s", "memory_mib", "workers", "max_output_chars"), limits, strict=True):
            if not value > 0:
                raise ConfigError(f"tools.{key}={value} is not accepted: it must be above 0")
        self.toolset = toolset
        self._limits = limits
        functions = [schema["function"] for schema in toolset.schemas]
        self._validators = {function["name"]: ArgumentValidator(function["parameters"]) for function in functions}
        self._workers = workers
        self._sandbox: Sandbox | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._sessions: dict[str, _Session] = {}

    async def __aenter__(self) -> ToolExecutor:
        if self._sandbox is not None:
            raise ToolError("the tool executor is already open")
        self._sandbox = await asyncio.to_thread(Sandbox(self.toolset, *self._limits).__enter__)
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="tools")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the calls that run, at most their time limit, and end every worker."""
        sandbox, self._sandbox = self._sandbox, None
        threads, self._threads = self._threads, None
        self._sessions.clear()
        if threads is not None and sandbox is not None:
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
            await asyncio.to_thread(sandbox.__exit__, None, None, None)

    async def call(self, name: str, arguments: dict[str, Any], session: str | None = None) -> ToolResult:
        """The result of one call, or the error text for the model.

        `session`: calls of one id share what the tools' source keeps in globals, in the order they are made; None is a
        session of its own. Tools that keep no state ignore it. Raises ToolError outside `async with` and when no worker
        can be had.
        """
        if self._sandbox is None or self._threads is None:
            raise ToolError("the tool executor is closed: call it inside `async with`")
        validator = self._validators.get(name) if isinstance(name, str) else None
        if validator is None:
            known = ", ".join(self.toolset.names)
            return _failed(CallError.UNKNOWN_TOOL, f"no tool named {str(name)[:80]!r}, known: {known}")
        problem = validator.problem(arguments)
        if problem is not None:
            return _failed(CallError.INVALID_ARGUMENTS, problem)
        in_thread = partial(asyncio.get_running_loop().run_in_executor, self._threads)
        outcome = await self._run(in_thread, self._sandbox, name, validator.coerced(arguments), session)
        if outcome.error is not None:
            return _failed(outcome.error, outcome.text, outcome.seconds)
        return ToolResult(outcome.text, True, None, outcome.seconds)

    async def _run(
        self, in_thread: InThread, sandbox: Sandbox, name: str, arguments: dict[str, Any], session: str | None
    ) -> Outcome:
        if self.toolset.stateless:
            return await in_thread(sandbox.run_stateless, name, arguments)
        if session is None:
            return await in_thread(sandbox.run, name, arguments, None, False)
        shared = self._sessions.setdefault(session, _Session())
        async with shared.lock:
            outcome = await in_thread(sandbox.run, name, arguments, shared.state, True)
            shared.state = outcome.state
        return outcome

    async def end_session(self, session: str) -> None:
        """Forget what the calls of this id left behind; an id without calls is fine."""
        self._sessions.pop(session, None)


def _failed(kind: CallError, message: str, seconds: float = 0.0) -> ToolResult:
    return ToolResult(error_text(kind, message), False, kind, seconds)
