"""The interface of a tool engine: what runs the calls of one toolset for an executor.

executor -> **engine** -> outcome. Engines: monty and CPython workers (`sessions.py`), search and MCP servers (`host/`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from mentor.errors import ConfigError
from mentor.tools.inside.confine import LEVELS
from mentor.types import CallError

ISOLATION = (*LEVELS, "interpreter")  # weakest first; monty executes no machine code of the tools
DEFAULT_FLOOR = "landlock+seccomp"


@dataclass(frozen=True)
class Limits:
    """What the calls of an executor may use.

    timeout_s: of one call, waiting for a free worker not counted. memory_mib: of one call, beyond what the interpreter
    needs. workers: calls at once. max_output_chars: longer results are cut with a mark. isolation_floor: the least of
    `ISOLATION` that sandboxed tools run with. load_timeout_s: of loading the tools' source. Raises ConfigError for a
    limit that is not positive and an unknown floor.
    """

    timeout_s: float = 2.0
    memory_mib: int = 64
    workers: int = 2
    max_output_chars: int = 2000
    isolation_floor: str = DEFAULT_FLOOR
    load_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        for key in ("timeout_s", "load_timeout_s", "memory_mib", "workers", "max_output_chars"):
            if not getattr(self, key) > 0:
                raise ConfigError(f"tools.{key}={getattr(self, key)} is not accepted: it must be above 0")
        if self.isolation_floor not in ISOLATION:
            raise ConfigError(f"tools.isolation_floor={self.isolation_floor} is not accepted: {', '.join(ISOLATION)}")


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class CallOutcome:
    """How one call ended: `error` is None for a result; `text` is the result, or what went wrong."""

    error: CallError | None
    text: str
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the sandbox is sound after it: a limit stops code anywhere and leaves its heap in doubt."""
        return self.error in (None, CallError.EXCEPTION)


class ToolEngine(ABC):
    """Runs the calls of one toolset; opened and closed by its executor, as often as that is."""

    @property
    @abstractmethod
    def isolation(self) -> str:
        """The level of `ISOLATION` that calls run with; of CPython workers it is known once they were open."""

    @abstractmethod
    async def open(self) -> None:
        """Start what calls need. Raises ConfigError for an isolation floor the host does not reach, ToolError."""

    @abstractmethod
    async def call(self, name: str, arguments: dict[str, Any], session: str | None) -> CallOutcome:
        """Run one call with valid arguments. Raises ToolError when the engine cannot be used at all.

        Calls of one session share what tools keep in globals, in the order they are made; None is a new session.
        """

    @abstractmethod
    async def end_session(self, session: str) -> None:
        """Forget what the calls of this id left behind; an id without calls is fine."""

    @abstractmethod
    async def close(self) -> None:
        """Wait for the calls that run, at most their time limit, and end every worker."""


def cut(text: str, limit: int) -> str:
    """Cut a result as the workers' driver does."""
    return text if len(text) <= limit else f"{text[:limit]} ...[cut, {len(text)} characters]"
