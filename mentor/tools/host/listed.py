"""The engine of tools that are only shown: the task is judged by its calls, and none of them runs."""

from __future__ import annotations

from typing import Any

from mentor.tools.engine import ISOLATION, CallOutcome, Limits, ToolEngine
from mentor.types import CallError


class ListedEngine(ToolEngine):
    """Runs nothing."""

    isolation = ISOLATION[0]

    def __init__(self, limits: Limits) -> None: ...

    async def open(self) -> None: ...

    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        return CallOutcome(CallError.NOT_RUN, "the task is judged by its calls, which are not run")

    async def end_session(self, session: str) -> None: ...

    async def close(self) -> None: ...
