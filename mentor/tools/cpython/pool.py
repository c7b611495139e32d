"""CPython workers: one process for every session, under limits the operating system enforces.

For source that needs more of Python than monty runs, and for trusted tools. What runs in a worker, and how it is
confined, is in `inside/`. The pool asks a template process for workers, passes calls to them and ends them by force.

A session's worker answers that session alone and is thrown away at its end. A call that is ended by force ends its
worker, so the session restarts from the state the source has when loaded; the model is told. Between its calls a worker
is stopped. Methods block: the executor calls them from as many threads as calls may run at once.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from mentor.errors import ConfigError, ToolError
from mentor.tools.cpython.handle import KEEPER_GRACE_S, WorkerHandle
from mentor.tools.engine import ISOLATION, CallOutcome, Limits
from mentor.tools.inside.confine import LEVELS
from mentor.tools.source import Source
from mentor.types import CallError

WORKER = Path(__file__).parents[1] / "inside" / "worker.py"
MAX_ARGUMENT_BYTES = 2**26
MAX_SCHEMA_BYTES = 2**22
NO_LINE = 0  # where a failure to load is of no line of the source


class _NotLoaded(ToolError):
    """The source does not stop loading."""


class WorkerPool:
    """A template process and workers from it, some of them waiting; use through `with`, from any thread.

    `level` and `missing`: the isolation reached and what keeps it from more. `failure`: empty, or why the source does
    not load, as `line:reason` with line NO_LINE where it is none's. Raises ToolError when no worker can be had, and
    ConfigError where the host does not reach the isolation floor; then the source has not run.
    """

    def __init__(self, source: Source, limits: Limits, spares: int) -> None:
        self._source, self._limits, self._spares = source, limits, spares
        self._waiting: deque[WorkerHandle] = deque()
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.level, self.failure = LEVELS[0], ""
        self.missing: list[str] = []
        self.supervised = source.trusted

    def __enter__(self) -> WorkerPool:
        if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
            raise self._below_floor("no isolation", "CPython workers need Linux 5.3 or later")
        if self._floor not in LEVELS:
            raise self._below_floor(f"at most {LEVELS[-1]}", "of CPython workers")
        try:
            with self._lock:
                self._start_template()
            try:
                self._know(self.take())
            except _NotLoaded as error:
                self.failure = f"{NO_LINE}:{error}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def _know(self, worker: WorkerHandle) -> None:
        """Read from the first worker what holds for all of them, and let it wait with the others."""
        assert worker.ready is not None
        self.level, self.missing, self.failure = (worker.ready[key] for key in ("level", "missing", "failure"))
        self.supervised |= any(problem.startswith("seccomp") for problem in self.missing)
        with self._lock:
            self._waiting.append(worker)
            for waiting in self._waiting:
                waiting.supervised = self.supervised
        if ISOLATION.index(self.level) < ISOLATION.index(self._floor):
            raise self._below_floor(self.level, "; ".join(self.missing))

    @property
    def _floor(self) -> str:
        """The least level: there is none for trusted tools."""
        return LEVELS[0] if self._source.trusted else self._limits.isolation_floor

    def _below_floor(self, level: str, why: str) -> ConfigError:
        remedies = ["tools.engine=monty (an interpreter for a part of Python)"]
        remedies += [f"tools.isolation_floor={level}"] if level in LEVELS else []
        remedies += ["tools.trusted=true (your own file, without a sandbox)"] if self._source.folder is not None else []
        return ConfigError(
            f"tools.isolation_floor={self._floor} is not met: this host gives {level} ({why}); "
            f"go on with {' or '.join(remedies)}"
        )

    def __exit__(self, *exception: Any) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            control, self._control = self._control, None
        for worker in waiting:
            worker.end()
        if control is not None:
            control.close()
        if self._template is not None:
            try:
                self._template.wait(KEEPER_GRACE_S)
            except subprocess.TimeoutExpired:
                self._template.kill()
                self._template.wait()

    def _start_template(self) -> None:
        control, theirs = socket.socketpair()
        trusted = self._source.trusted
        flags = ["-P"] if trusted else ["-I", "-X", "utf8"]
        with theirs:
            self._template = subprocess.Popen(
                [sys.executable, *flags, "-B", str(WORKER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=None if trusted else {},
                cwd=None if trusted else "/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        settings = {
            "source": self._source.text,
            "names": self._source.names,
            "imports": self._source.imports,
            "folders": [str(self._source.folder)] if trusted and self._source.folder is not None else [],
            "trusted": trusted,
            "memory_bytes": self._limits.memory_mib * 2**20,
            "max_output_chars": self._limits.max_output_chars,
            "load_timeout_s": self._limits.load_timeout_s,
            "floor": self._floor,
            "owners": self._source.owners,
            "converted": self._source.converted,
            "float_digits": self._source.float_digits,
        }
        body = json.dumps(settings).encode()
        control.settimeout(self._limits.load_timeout_s)
        control.sendall(struct.pack("<I", len(body)) + body)
        self._control = control

    def _request(self) -> WorkerHandle:
        """Ask the template for one more worker and do not wait for it; a template that died is replaced."""
        ours, theirs = socket.socketpair()
        with theirs:
            assert self._control is not None
            try:
                socket.send_fds(self._control, [b"f"], [theirs.fileno()])
            except OSError:
                self._control.close()
                assert self._template is not None
                self._template.kill()
                self._template.wait()
                self._start_template()
                socket.send_fds(self._control, [b"f"], [theirs.fileno()])
        return WorkerHandle(ours, self.supervised)

    def take(self) -> WorkerHandle:
        """Take an unused worker, ready for calls. The next one is started at once."""
        problem: Exception = ToolError("closed")
        for _ in range(3 + self._spares):  # those that waited may have died with their template
            with self._lock:
                if self._control is None:
                    raise ToolError("the sandbox is closed")
                try:
                    while len(self._waiting) <= self._spares:
                        self._waiting.append(self._request())
                    worker = self._waiting.popleft()
                except OSError as error:
                    raise ToolError(f"no tool worker can be started: {error}") from error
            try:
                worker.wait_ready(self._limits.load_timeout_s)
                if worker.silent:
                    return worker
                problem = ConnectionResetError("it ended while it waited")
            except TimeoutError:
                worker.end()
                seconds = self._limits.load_timeout_s
                raise _NotLoaded(f"TimeoutError: not loaded within tools.load_timeout_s={seconds:g} s") from None
            except (OSError, ValueError) as error:
                problem = error
            worker.end()
        raise ToolError(f"no tool worker comes up: {problem or type(problem).__name__}")

    def call(self, worker: WorkerHandle, name: str, arguments: dict[str, Any]) -> tuple[CallOutcome, bool]:
        """Run one call in a worker: how it ended, and whether the worker is still to be used."""
        start = time.perf_counter()
        problem = _passing_problem(arguments)
        if problem is not None:
            return CallOutcome(CallError.INVALID_ARGUMENTS, problem), True
        before = worker.used
        error, text, alive = self._ask(worker, {"name": name, "arguments": arguments})
        if not alive and before:
            text += "; what the session's calls left behind is lost"
        seconds = time.perf_counter() - start
        return CallOutcome(error, text.encode("utf-8", "replace").decode(), seconds), alive

    def _ask(self, worker: WorkerHandle, request: dict[str, Any]) -> tuple[CallError | None, str, bool]:
        limits = self._limits
        try:
            answer = worker.ask(request, limits.timeout_s, 12 * limits.max_output_chars + 2**13)
            error = None if answer.get("kind") == "ok" else CallError(str(answer.get("kind")))
        except TimeoutError:
            return CallError.TIMEOUT, f"no result within {limits.timeout_s:g} s", False
        except OSError as failure:
            return CallError.CRASH, str(failure), False
        except (ValueError, RecursionError) as failure:
            return CallError.CRASH, f"the worker wrote what is no answer: {str(failure)[:80]}", False
        if error is CallError.MEMORY:
            return error, f"needs more than {limits.memory_mib} MiB", False
        return error, answer["text"], True

    def probe(self, worker: WorkerHandle, codes: list[str]) -> tuple[int, str] | None:
        """Run pieces of code in the worker's module: the number of the first that fails and why, None when all run."""
        if not codes:
            return None
        try:
            text = worker.ask({"probe": codes}, self._limits.load_timeout_s, 2**16)["text"]
        except (OSError, ValueError) as error:
            return 0, str(error) or type(error).__name__
        number, _, reason = text.partition(":")
        return (min(int(number), len(codes) - 1), reason) if number.isdecimal() else None

    def describe(self, worker: WorkerHandle) -> dict[str, Any]:
        """What the worker says of converted arguments, by tool. Raises ToolError for an answer that is none."""
        try:
            told = json.loads(worker.ask({"describe": True}, self._limits.load_timeout_s, MAX_SCHEMA_BYTES)["text"])
            if not isinstance(told, dict) or set(told) != set(self._source.converted):
                raise ValueError("no description")
        except (OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise ToolError(f"{self._source.place}: the type hints cannot be read: {reason}") from None
        return told


def _passing_problem(arguments: dict[str, Any]) -> str | None:
    """Why arguments cannot be sent to a worker, if so."""
    try:
        if len(json.dumps(arguments, ensure_ascii=False).encode()) > MAX_ARGUMENT_BYTES:
            return "arguments are too long"
    except RecursionError:
        return "arguments are nested too deeply"
    except ValueError as error:  # a lone surrogate, an integer past the digits Python writes
        return f"arguments cannot be passed: {error}"
    return None
