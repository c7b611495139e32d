"""What became of a run's tool calls: how many failed, what each failing tool said first, and which never worked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mentor.types import CallError

TOOL_FAILS = (CallError.EXCEPTION, CallError.TIMEOUT, CallError.MEMORY, CallError.CRASH)
"""Errors of the tool; the others are of the call."""


class CallCounts:
    """Counts the calls of one or several executors.

    report: is told once of every tool that fails. kinds: by CallError value, calls that ended so; by
    `coerced_<kind>`, arguments read from text (see `coerce`).
    """

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        self.kinds: Counter[str] = Counter()
        self._report = report
        self._worked: set[str] = set()
        self._failed: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._told: set[str] = set()

    def worked(self, tool: str) -> None:
        """Note a call with a result."""
        self._worked.add(tool)

    def failed(self, kind: CallError, message: str, tool: str | None) -> None:
        """Count a call without a result; tool: None where it named none."""
        self.kinds[kind.value] += 1
        if tool is None:
            return
        self._failed[tool] += 1
        self._first.setdefault(tool, f"{kind.value}: {message}")
        if kind in TOOL_FAILS and tool not in self._told:
            self._told.add(tool)
            if self._report is not None:
                self._report(f"tool {tool} failed: {kind.value}: {message} (said once for each tool)")

    def never_worked(self) -> dict[str, str]:
        """Return the tools that were called and never gave a result, with how often and how the first call failed."""
        return {
            tool: f"{calls} of {calls} calls failed, the first: {self._first[tool]}"
            for tool, calls in self._failed.items()
            if tool not in self._worked
        }
