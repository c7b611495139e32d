"""Sandboxed workers: pydantic-monty processes with time and memory limits, no files, network, environment or sleep.

A worker that crashes or must be killed takes only its own call with it and is replaced. What this does not protect
against: a bug in the interpreter that escapes into the worker process, which runs as this user; and load: a tool may
keep one core per worker busy up to its time limit.

The toolset is loaded once and that state kept; every session starts from it. Methods block: the executor calls them
from as many threads as there are workers. (pydantic-monty's own asyncio pool is not used: with 1.4 about half of the
programs that did so aborted at exit, and threads were faster.)
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_monty import Monty, MontyCrashedError, MontyError, MontySession, ResourceLimits

from mentor.errors import ToolError
from mentor.tools.source import LOAD_LIMITS, LOAD_TIMEOUT_S
from mentor.tools.toolsets import Toolset
from mentor.types import CallError

DRIVER = Path(__file__).with_name("driver.py").read_text(encoding="utf-8")
CALL = "await _mentor_call(_mentor_name, _mentor_arguments)"
KILL_GRACE_S = 0.5  # past the time limit a worker that cannot stop itself is killed
REQUEST_GRACE_S = 5.0  # the same for loading and storing state
MAX_HELD_CALLS = 10_000  # a held session keeps some 230 bytes of every call


@dataclass(frozen=True)
class Outcome:
    """How one call ended: `error` is None for a result. `state` is what the next call of its session starts from."""

    error: CallError | None
    text: str
    seconds: float = 0.0
    state: bytes | None = None

    @property
    def clean(self) -> bool:
        """Whether the sandbox is sound after it: a limit stops code anywhere and leaves its heap in doubt."""
        return self.error in (None, CallError.EXCEPTION)


@dataclass
class _Held:
    session: MontySession
    calls: int = 0


class Sandbox:
    """A pool of at most `workers` processes for one toolset; use through `with`, from at most `workers` threads."""

    def __init__(
        self, toolset: Toolset, timeout_s: float, memory_mib: int, workers: int, max_output_chars: int
    ) -> None:
        self._toolset = toolset
        self._timeout_s, self._memory_mib, self._max_output_chars = timeout_s, memory_mib, max_output_chars
        self._limits = ResourceLimits(
            max_feed_duration_secs=timeout_s, max_total_sleep_secs=0.0, max_memory=memory_mib * 2**20
        )
        self._pool = Monty(
            max_processes=workers,
            feed_duration_limit_grace=KILL_GRACE_S,
            request_timeout=max(timeout_s, LOAD_TIMEOUT_S) + REQUEST_GRACE_S,
        )
        self._held: deque[_Held] = deque()
        self._loaded = b""

    def __enter__(self) -> Sandbox:
        try:
            self._pool.__enter__()
            with self._pool.checkout(limits=LOAD_LIMITS) as session:
                for code in (DRIVER, self._toolset.source, self._binding()):
                    session.feed_run(f"{code}\nNone", print_callback=_drop)
                self._loaded = session.dump()
        except (MontyError, OSError, RuntimeError) as error:
            self._pool.__exit__(None, None, None)
            raise ToolError(f"the sandbox cannot load toolset {self._toolset.name!r}: {_one_line(error)}") from error
        return self

    def __exit__(self, *exception: Any) -> None:
        while self._held:
            self._held.pop().session.__exit__(None, None, None)
        self._pool.__exit__(*exception)

    def _binding(self) -> str:
        """Code that ties tool names to functions; every name is a function definition's, hence an identifier."""
        table = ", ".join(f"{name!r}: {name}" for name in self._toolset.names)
        return f"_mentor_call = _mentor_driver({{{table}}}, {self._max_output_chars})"

    def run_stateless(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Run a call in any held session, which is kept only after a clean end."""
        start = time.perf_counter()
        held = self._held.pop() if self._held else _Held(self._open())
        keep = False
        try:
            outcome = self._feed(held.session, name, arguments, start)
            held.calls += 1
            keep = outcome.clean and held.calls < MAX_HELD_CALLS
        finally:
            if keep:
                self._held.append(held)
            else:
                held.session.__exit__(None, None, None)
        return outcome

    def run(self, name: str, arguments: dict[str, Any], state: bytes | None, keep: bool) -> Outcome:
        """Run a call from `state` (None: as loaded); the outcome has the state after it where `keep`.

        A call that ran into a limit changes nothing: its outcome has the state before it.
        """
        start = time.perf_counter()
        session = self._open(state)
        try:
            outcome = self._feed(session, name, arguments, start)
            if keep and outcome.clean:
                state = session.dump()
        except MontyError as error:  # the state could not be stored
            outcome = Outcome(CallError.CRASH, _one_line(error), time.perf_counter() - start)
        finally:
            session.__exit__(None, None, None)
        return Outcome(outcome.error, outcome.text, outcome.seconds, state)

    def _open(self, state: bytes | None = None) -> MontySession:
        session = self._pool.checkout(limits=self._limits)
        try:
            session.__enter__()
            session.load_session(self._loaded if state is None else state)
        except (MontyError, OSError, RuntimeError) as error:
            raise ToolError(f"no sandbox worker for toolset {self._toolset.name!r}: {_one_line(error)}") from error
        return session

    def _feed(self, session: MontySession, name: str, arguments: dict[str, Any], start: float) -> Outcome:
        """What the driver reports, or which limit ended it. A tool's own exceptions never leave the driver."""
        try:
            inputs = {"_mentor_name": name, "_mentor_arguments": arguments}
            kind, text = session.feed_run(CALL, inputs=inputs, print_callback=_drop)
            error = None if kind == "ok" else CallError(kind)
        except MontyError as failure:
            error, text = self._limit(failure)
        return Outcome(error, text, time.perf_counter() - start)

    def _limit(self, failure: MontyError) -> tuple[CallError, str]:
        reason = _one_line(failure)
        too_long = f"no result within {self._timeout_s:g} s"
        if isinstance(failure, MontyCrashedError):
            return (CallError.TIMEOUT, too_long) if failure.timed_out else (CallError.CRASH, reason)
        match failure.exception():
            case TimeoutError():
                slept = "sleep limit" in reason
                return CallError.TIMEOUT, "sleeping is not possible in the sandbox" if slept else too_long
            case MemoryError():
                return CallError.MEMORY, f"needs more than {self._memory_mib} MiB"
            case ValueError() | TypeError():  # before the call: a lone surrogate in a string, for one
                return CallError.INVALID_ARGUMENTS, f"arguments cannot be passed: {reason}"
        return CallError.CRASH, reason


def _drop(stream: str, text: str) -> None:
    """What a tool prints goes nowhere: the model sees what it returns."""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
