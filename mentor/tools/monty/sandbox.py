"""Sandboxed workers: pydantic-monty processes with time and memory limits, no files, network, environment or sleep.

A worker that crashes or must be killed takes only its own call with it and is replaced. What this does not protect
against: a bug in the interpreter that escapes into the worker process, which runs as this user; and load: a tool may
keep one core per worker busy up to its time limit.

The toolset is loaded once and that state kept; every session starts from it. Methods block: the executor calls them
from as many threads as there are workers. (pydantic-monty's own asyncio pool is not used: with 1.4 about half of the
programs that did so aborted at exit, and threads were faster.)
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_monty import Monty, MontyCrashedError, MontyError, MontySession, ResourceLimits

from mentor.errors import ToolError, one_line
from mentor.tools.engine import CallOutcome, Limits
from mentor.tools.monty.monty_check import load_limits
from mentor.tools.source import Source
from mentor.types import CallError

_DRIVER_FILE = (Path(__file__).parents[1] / "inside" / "driver.py").read_text(encoding="utf-8")
DRIVER = _DRIVER_FILE.split('"""', 2)[2]  # without its description: each session loads it
CALL = "await _mentor_call(_mentor_name, _mentor_arguments)"
KILL_GRACE_S = 0.5  # past the time limit a worker that cannot stop itself is killed
REQUEST_GRACE_S = 5.0  # the same for loading and storing state
MAX_LIVE = 16  # sessions that keep their process between calls; some 14 MiB each
MAX_HELD_CALLS = 10_000  # a held session keeps some 230 bytes of every call
LOST = "what the session's last call left behind is lost"


@dataclass
class _Held:
    session: MontySession
    calls: int = 0


@dataclass(eq=False)
class State:
    """What the calls of one session left behind; None is the toolset as loaded.

    A held process may be one call ahead of `stored`: what that call left is stored before the next one, in case it runs
    into a limit, and when the process is needed for another session. `lock`: held while either of them is under way.
    """

    stored: bytes | None = None
    lost: str = ""  # why the last call's state could not be stored
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sandbox:
    """Workers for one toolset; use through `with`, from at most `limits.workers` threads.

    The MAX_LIVE states used last keep their process between calls; others are stored.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source, self._limits = source, limits
        self._call_limits = ResourceLimits(
            max_feed_duration_secs=limits.timeout_s, max_total_sleep_secs=0.0, max_memory=limits.memory_mib * 2**20
        )
        self._pool: Monty
        self._held: deque[_Held] = deque()
        self._live: OrderedDict[State, _Held] = OrderedDict()  # the state used last comes last
        self._lock = threading.Lock()
        self._loaded = b""

    def __enter__(self) -> Sandbox:
        self._pool = Monty(
            max_processes=self._limits.workers + MAX_LIVE,
            feed_duration_limit_grace=KILL_GRACE_S,
            request_timeout=max(self._limits.timeout_s, self._limits.load_timeout_s) + REQUEST_GRACE_S,
        )
        try:
            self._pool.__enter__()
            with self._pool.checkout(limits=load_limits(self._limits)) as session:
                for code in (DRIVER, self._source.text, self._binding()):
                    session.feed_run(f"{code}\nNone", print_callback=_drop)
                self._loaded = session.dump()
        except (MontyError, OSError, RuntimeError) as error:
            self._pool.__exit__(None, None, None)
            reason = one_line(error, 300)
            raise ToolError(f"the sandbox cannot load toolset {self._source.name!r}: {reason}") from error
        return self

    def __exit__(self, *exception: Any) -> None:
        while self._held:
            self._held.pop().session.__exit__(None, None, None)
        while self._live:
            self._live.popitem()[1].session.__exit__(None, None, None)
        self._pool.__exit__(*exception)

    def _binding(self) -> str:
        """Code that ties tool names to functions; every name is a definition's, hence an identifier."""
        source = self._source
        instances = [f"_mentor_{name} = {name}()" for name in sorted({name for name, _ in source.owners.values()})]
        bound = {name: f"_mentor_{source.owners[name][0]}.{name}" for name in source.owners}
        table = ", ".join(f"{name!r}: {bound.get(name, name)}" for name in source.names)
        driver = f"_mentor_driver({{{table}}}, {self._limits.max_output_chars}, {source.float_digits})"
        return "\n".join([*instances, f"_mentor_call = {driver}"])

    def run_stateless(self, name: str, arguments: dict[str, Any]) -> CallOutcome:
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

    def run(self, state: State, name: str, arguments: dict[str, Any], keep: bool) -> CallOutcome:
        """Run a call from a state, which is what the call leaves behind where `keep`.

        A call that ran into a limit changes nothing. Calls of one state must follow each other.
        """
        start = time.perf_counter()
        with state.lock:
            if state.lost:
                reason, state.lost = state.lost, ""
                return CallOutcome(CallError.CRASH, f"{reason}; {LOST}", time.perf_counter() - start)
            with self._lock:
                held = self._live.pop(state, None)
            outcome = self._run(state, held or _Held(self._open(state.stored)), name, arguments, keep, start)
        self._store_oldest()
        return outcome

    def _run(
        self, state: State, held: _Held, name: str, arguments: dict[str, Any], keep: bool, start: float
    ) -> CallOutcome:
        live = False
        try:
            if keep and held.calls:
                state.stored = held.session.dump()
            outcome = self._feed(held.session, name, arguments, start)
            held.calls += 1
            if keep and outcome.clean:
                live = held.calls < MAX_HELD_CALLS
                if not live:
                    state.stored = held.session.dump()
        except MontyError as error:
            outcome = CallOutcome(CallError.CRASH, f"{one_line(error, 300)}; {LOST}", time.perf_counter() - start)
        finally:
            if live:
                with self._lock:
                    self._live[state] = held
            else:
                held.session.__exit__(None, None, None)
        return outcome

    def _store_oldest(self) -> None:
        """Where more than MAX_LIVE sessions hold a process, store the one used longest ago and end its process."""
        with self._lock:
            if len(self._live) <= MAX_LIVE:
                return
            state = next((state for state in self._live if state.lock.acquire(blocking=False)), None)
            if state is None:
                return
            held = self._live.pop(state)
        try:
            state.stored = held.session.dump()
        except MontyError as error:  # its next call reports this
            state.lost = one_line(error, 300)
        finally:
            state.lock.release()
            held.session.__exit__(None, None, None)

    def end(self, state: State) -> None:
        """End the process that holds a state, if one does."""
        with state.lock, self._lock:
            held = self._live.pop(state, None)
        if held is not None:
            held.session.__exit__(None, None, None)

    def _open(self, state: bytes | None = None) -> MontySession:
        session = self._pool.checkout(limits=self._call_limits)
        try:
            session.__enter__()
            session.load_session(self._loaded if state is None else state)
        except (MontyError, OSError, RuntimeError) as error:
            raise ToolError(f"no sandbox worker for toolset {self._source.name!r}: {one_line(error, 300)}") from error
        return session

    def _feed(self, session: MontySession, name: str, arguments: dict[str, Any], start: float) -> CallOutcome:
        """What the driver reports, or which limit ended it. A tool's own exceptions never leave the driver."""
        try:
            inputs = {"_mentor_name": name, "_mentor_arguments": arguments}
            kind, text = session.feed_run(CALL, inputs=inputs, print_callback=_drop)
            error = None if kind == "ok" else CallError(kind)
        except MontyError as failure:
            error, text = self._limit(failure)
        return CallOutcome(error, text, time.perf_counter() - start)

    def _limit(self, failure: MontyError) -> tuple[CallError, str]:
        reason = one_line(failure, 300)
        too_long = f"no result within {self._limits.timeout_s:g} s"
        if isinstance(failure, MontyCrashedError):
            return (CallError.TIMEOUT, too_long) if failure.timed_out else (CallError.CRASH, reason)
        match failure.exception():
            case TimeoutError():
                slept = "sleep limit" in reason
                return CallError.TIMEOUT, "sleeping is not possible in the sandbox" if slept else too_long
            case MemoryError():
                return CallError.MEMORY, f"needs more than {self._limits.memory_mib} MiB"
            case ValueError() | TypeError():  # before the call: a lone surrogate in a string, for one
                return CallError.INVALID_ARGUMENTS, f"arguments cannot be passed: {reason}"
        return CallError.CRASH, reason


def _drop(stream: str, text: str) -> None:
    """What a tool prints goes nowhere: the model sees what it returns."""
