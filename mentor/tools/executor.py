"""Calls tools: name and arguments in, the text the model sees out.

assistant turn -> **call** -> tool message. Names are looked up and arguments validated here, then passed to the engine
of the toolset as values. A failing tool is a result; only an engine that cannot be used at all is an exception.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from types import TracebackType
from typing import Any

from mentor.calls.arguments import MAX_MESSAGE_CHARS, ArgumentValidator
from mentor.errors import ToolError
from mentor.tools.call_counts import CallCounts
from mentor.tools.engine import DEFAULT_FLOOR, Limits
from mentor.tools.perturbed.engine_view import PerturbedEngine
from mentor.tools.toolsets import Toolset
from mentor.types import CallError, Perturbation, ToolResult


def error_text(kind: CallError, message: str) -> str:
    """Write what the model sees of a call without result: one line of JSON, `{"error": ..., "message": ...}`."""
    shown = {"error": kind.value, "message": " ".join(message.split())[:MAX_MESSAGE_CHARS]}
    return json.dumps(shown, ensure_ascii=False)


class ToolExecutor:
    """Runs the calls of a toolset in workers of its engine, concurrently; use through `async with`.

    The limits are those of `Limits`; a call ends at most half a second past timeout_s. Raises ConfigError for a limit
    that is not positive and, on opening, for a floor the host does not reach. counts: of its calls.
    """

    def __init__(
        self,
        toolset: Toolset,
        timeout_s: float = 2.0,
        memory_mib: int = 64,
        workers: int = 2,
        max_output_chars: int = 2000,
        isolation_floor: str = DEFAULT_FLOOR,
        load_timeout_s: float = 10.0,
        counts: CallCounts | None = None,
    ) -> None:
        self.toolset = toolset
        self.counts = counts or CallCounts()
        functions = [schema["function"] for schema in toolset.schemas]
        self._validators = {function["name"]: ArgumentValidator(function["parameters"]) for function in functions}
        self._limits = Limits(timeout_s, memory_mib, workers, max_output_chars, isolation_floor, load_timeout_s)
        self._engine = toolset.new_engine(self._limits)
        self._is_open = False

    @property
    def isolation(self) -> str:
        """The level of `ISOLATION` that calls run with; of CPython workers it is known once the executor was open."""
        return self._engine.isolation

    @property
    def summary(self) -> str:
        """One line for the log: how many tools, which engine and why, which isolation."""
        toolset = self.toolset
        why = f" ({toolset.note})" if toolset.note else ""
        return f"{len(toolset.names)} tools of {toolset.name} in {toolset.engine}{why}, isolation: {self.isolation}"

    async def __aenter__(self) -> ToolExecutor:
        if self._is_open:
            raise ToolError("the tool executor is already open")
        await self._engine.open()
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the calls that run, at most their time limit, and end every worker."""
        if self._is_open:
            self._is_open = False
            await self._engine.close()

    def perturbed(self, perturbation: Perturbation | None) -> ToolExecutor:
        """Return an executor for one trajectory of a perturbed task; this one where nothing is perturbed.

        It is open while this one is, whose engine runs its calls.
        """
        toolset = self.toolset.perturbed(perturbation)
        if perturbation is None or toolset.shown is None:
            return self
        engine = PerturbedEngine(self._engine, toolset.shown, perturbation, self._limits.max_output_chars)
        toolset = replace(toolset, stateless=self.toolset.parallel, host=lambda limits: engine)
        executor = ToolExecutor(toolset, **asdict(self._limits), counts=self.counts)
        executor._is_open = self._is_open
        return executor

    async def call(self, name: str, arguments: dict[str, Any], session: str | None = None) -> ToolResult:
        """Run one call: its result, or the error text for the model.

        `session`: calls of one id share what the tools' source keeps in globals, in the order they are made; None is a
        session of its own. Tools that keep no state ignore it. Arguments that do not fit the schema but hold as text
        what it asks for are read so, and counted. Raises ToolError outside `async with` and when no worker can be had.
        """
        if not self._is_open:
            raise ToolError("the tool executor is closed: call it inside `async with`")
        validator = self._validators.get(name) if isinstance(name, str) else None
        if validator is None:
            known = ", ".join(self.toolset.names)
            return self._failed(None, CallError.UNKNOWN_TOOL, f"no tool named {str(name)[:80]!r}, known: {known}")
        problem = validator.problem(arguments)
        if problem is not None:
            arguments, kinds = validator.coerce(arguments)
            if not kinds or validator.problem(arguments) is not None:
                return self._failed(name, CallError.INVALID_ARGUMENTS, problem)
            self.counts.kinds.update(f"coerced_{kind}" for kind in kinds)
        outcome = await self._engine.call(name, validator.coerced(arguments), session)
        if outcome.error is not None:
            return self._failed(name, outcome.error, outcome.text, outcome.seconds)
        self.counts.worked(self._own_name(name))
        return ToolResult(outcome.text, True, None, outcome.seconds)

    async def call_turn(self, calls: Sequence[tuple[str, dict[str, Any]]], session: str) -> list[ToolResult]:
        """Run the calls of one turn, each a name and arguments; return their results in the same order.

        They run at once where the tools keep no state, else one after the other. Raises as `call` does.
        """
        if not self.toolset.parallel:
            return [await self.call(name, arguments, session) for name, arguments in calls]
        sessions = [session, *[None] * len(calls)]  # without state it does not matter in which they run
        pairs = zip(calls, sessions, strict=False)
        return await asyncio.gather(*(self.call(name, arguments, place) for (name, arguments), place in pairs))

    async def end_session(self, session: str) -> None:
        """Forget what the calls of this id left behind, and end its worker; an id without calls is fine."""
        await self._engine.end_session(session)

    def _own_name(self, tool: str) -> str:
        return self.toolset.own_call(tool, {})[0] or tool

    def _failed(self, tool: str | None, kind: CallError, message: str, seconds: float = 0.0) -> ToolResult:
        own = None if tool is None else self._own_name(tool)
        self.counts.failed(kind, " ".join(message.split())[:MAX_MESSAGE_CHARS], own)
        return ToolResult(error_text(kind, message), False, kind, seconds)
