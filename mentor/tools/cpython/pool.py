"""CPython workers: one process for every session, under limits the operating system enforces.

For source that needs more of Python than the interpreter of `monty/` runs, and for trusted tools. What a worker is
and how it is confined is in `inside/`, whose files run in the workers; this side asks a
template process for workers, passes calls and ends workers by force. Nothing a worker says is believed: its answers are
length-checked JSON, and whatever else it writes ends it.

A session's worker answers that session alone and is thrown away at its end. A call that is ended by force ends its
worker, so the session goes on from the state the source has when loaded; the model is told. Between its calls a worker
is stopped. Methods block: the executor calls them from as many threads as calls may run at once.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mentor.errors import ToolError
from mentor.tools.inside.confine import LEVELS
from mentor.types import CallError

WORKER = Path(__file__).parents[1] / "inside" / "worker.py"
LOAD_TIMEOUT_S = 10.0  # for a worker to be there with the source loaded
KEEPER_GRACE_S = 10.0  # for the keeper of a trusted worker to end all its descendants
MAX_ARGUMENT_BYTES = 2**26


@dataclass(frozen=True)
class Source:
    """What workers load: `names` of its tools, `imports` to make early, `folders` that trusted tools import from."""

    text: str
    names: tuple[str, ...]
    imports: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    trusted: bool = False


@dataclass(frozen=True)
class Limits:
    """Of one call: seconds of wall clock, MiB beyond what the interpreter needs, characters of a result."""

    timeout_s: float
    memory_mib: int
    max_output_chars: int


@dataclass(frozen=True)
class Answer:
    """How one call ended: `kind` is `ok` or the value of a CallError."""

    kind: str
    text: str
    seconds: float


class Worker:
    """This side of one worker. `ready` is what it said on its start: level, missing, failure.

    `supervised`: a keeper stands between, which ends all the worker starts and must not be stopped.
    """

    def __init__(self, end: socket.socket, supervised: bool) -> None:
        self._end = end
        self.supervised = supervised
        self._process: int | None = None
        self._asked = 0
        self.ready: dict[str, Any] | None = None

    @property
    def used(self) -> bool:
        return self._asked > 0

    @property
    def silent(self) -> bool:
        """Whether it waits for a request, as it should between its answers."""
        return not _readable(self._end.fileno(), 0)

    def wait_ready(self) -> dict[str, Any]:
        """Raises OSError or ValueError when the worker does not come up, TimeoutError when it takes too long."""
        if self.ready is None:
            deadline = time.monotonic() + LOAD_TIMEOUT_S
            self._receive_process(deadline)
            ready = json.loads(self._frame(deadline, 2**16))
            if ready.keys() != {"level", "missing", "failure"} or ready["level"] not in LEVELS:
                raise ValueError("no worker answers")
            self.ready = ready
        return self.ready

    def _receive_process(self, deadline: float) -> None:
        self._end.settimeout(max(0.0, deadline - time.monotonic()))
        data, descriptors, _, _ = socket.recv_fds(self._end, 1, 1)
        if len(descriptors) != 1:
            raise ConnectionResetError(f"the worker ended at its start ({len(data)} bytes)")
        self._process = descriptors[0]

    def ask(self, request: dict[str, Any], timeout_s: float, max_answer: int) -> dict[str, Any]:
        """Send one request and wait for its answer. Raises TimeoutError, OSError or ValueError; then it must end."""
        deadline = time.monotonic() + timeout_s
        if not self.silent:
            raise ValueError("the worker wrote without being asked, or is gone")
        self._asked += 1
        body = json.dumps({"id": self._asked, **request}).encode()
        if not self.supervised:
            self.signal(signal.SIGCONT)
        self._end.settimeout(timeout_s)
        self._end.sendall(struct.pack("<I", len(body)) + body)
        answer = json.loads(self._frame(deadline, max_answer))
        if not self.supervised:
            self.signal(signal.SIGSTOP)
        if not isinstance(answer, dict) or answer.get("id") != self._asked or not isinstance(answer.get("text"), str):
            raise ValueError("the worker wrote what is no answer")
        return answer

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        try:
            signal.pidfd_send_signal(self._process, number)
        except ProcessLookupError:
            raise ConnectionResetError("the worker is gone") from None

    def _frame(self, deadline: float, limit: int) -> bytes:
        size = struct.unpack("<I", self._receive(4, deadline))[0]
        if size > limit:
            raise ValueError(f"the worker wrote an answer of {size} bytes")
        return self._receive(size, deadline)

    def _receive(self, size: int, deadline: float) -> bytes:
        parts = []
        while size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._end.settimeout(left)
            part = self._end.recv(min(size, 2**20))
            if not part:
                raise ConnectionResetError("the worker is gone")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def end(self) -> None:
        """End it and all its descendants; blocks until they are gone where a keeper does it."""
        try:
            if self._process is None:
                self._receive_process(time.monotonic() + LOAD_TIMEOUT_S)
            if self.supervised:
                self.signal(signal.SIGTERM)
                assert self._process is not None
                _readable(self._process, KEEPER_GRACE_S)
            self.signal(signal.SIGKILL)
        except OSError:  # it never was or is no more
            return
        finally:
            self._end.close()
            if self._process is not None:
                os.close(self._process)
                self._process = None


def _readable(descriptor: int, timeout_s: float) -> bool:
    """Whether there is something to read, or an end, within the time. (`select` takes no number past 1,023.)"""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * timeout_s))


class WorkerPool:
    """A template process and workers from it, some of them waiting; use through `with`, from any thread.

    `level` and `missing`: the isolation reached and what keeps it from more. `failure`: empty, or why the source does
    not load, as `line:reason`. Raises ToolError when no worker can be had.
    """

    def __init__(self, source: Source, limits: Limits, spares: int) -> None:
        self._source, self._limits, self._spares = source, limits, spares
        self._waiting: deque[Worker] = deque()
        self._lock = threading.Lock()
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.level, self.failure = LEVELS[0], ""
        self.missing: list[str] = []
        self.supervised = source.trusted

    def __enter__(self) -> WorkerPool:
        if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
            raise ToolError("tools.engine=cpython needs Linux 5.3 or later")
        try:
            with self._lock:
                self._start_template()
            worker = self.take()
            assert worker.ready is not None
            self.level, self.missing, self.failure = (worker.ready[key] for key in ("level", "missing", "failure"))
            self.supervised |= any(problem.startswith("seccomp") for problem in self.missing)
            for waiting in (worker, *self._waiting):
                waiting.supervised = self.supervised
            with self._lock:
                self._waiting.append(worker)
        except BaseException:
            self.__exit__()
            raise
        return self

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
            "folders": self._source.folders,
            "trusted": trusted,
            "memory_bytes": self._limits.memory_mib * 2**20,
            "max_output_chars": self._limits.max_output_chars,
        }
        body = json.dumps(settings).encode()
        control.settimeout(LOAD_TIMEOUT_S)
        control.sendall(struct.pack("<I", len(body)) + body)
        self._control = control

    def _request(self) -> Worker:
        """Ask the template for one more worker, which comes up meanwhile; a template that died is replaced."""
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
        return Worker(ours, self.supervised)

    def take(self) -> Worker:
        """A worker nobody used, ready; the next one is asked for at once."""
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
                worker.wait_ready()
                if worker.silent:
                    return worker
                problem = ConnectionResetError("it ended while it waited")
            except (OSError, ValueError) as error:
                problem = error
            worker.end()
        raise ToolError(f"no tool worker comes up: {problem or type(problem).__name__}")

    def call(self, worker: Worker, name: str, arguments: dict[str, Any]) -> tuple[Answer, bool]:
        """One call in a worker: how it ended, and whether the worker is still to be used."""
        limits = self._limits
        start = time.perf_counter()
        try:
            if len(json.dumps(arguments, ensure_ascii=False).encode()) > MAX_ARGUMENT_BYTES:
                return Answer(CallError.INVALID_ARGUMENTS, "arguments are too long", 0.0), True
        except RecursionError:
            return Answer(CallError.INVALID_ARGUMENTS, "arguments are nested too deeply", 0.0), True
        except ValueError as error:  # a lone surrogate, an integer past the digits Python writes
            return Answer(CallError.INVALID_ARGUMENTS, f"arguments cannot be passed: {error}", 0.0), True
        before = worker.used
        alive = False
        try:
            request = {"name": name, "arguments": arguments}
            answer = worker.ask(request, limits.timeout_s, 12 * limits.max_output_chars + 2**13)
            kind, text = CallError(answer["kind"]).value if answer.get("kind") != "ok" else "ok", answer["text"]
            alive = True
        except TimeoutError:
            kind, text = CallError.TIMEOUT.value, f"no result within {limits.timeout_s:g} s"
        except OSError as error:
            kind, text = CallError.CRASH.value, str(error)
        except (ValueError, RecursionError) as error:
            kind, text = CallError.CRASH.value, f"the worker wrote what is no answer: {str(error)[:80]}"
        if kind == CallError.MEMORY:
            kind, text, alive = kind, f"needs more than {limits.memory_mib} MiB", False
        if not alive and before:
            text += "; what the session's calls left behind is lost"
        seconds = time.perf_counter() - start
        return Answer(kind, text.encode("utf-8", "replace").decode(), seconds), alive

    def probe(self, worker: Worker, code: str) -> str:
        """Why code does not run in the worker's module; empty when it does."""
        try:
            return worker.ask({"probe": code}, LOAD_TIMEOUT_S, 2**16)["text"]
        except (OSError, ValueError) as error:
            return f"1:{error or type(error).__name__}"
