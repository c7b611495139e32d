"""A worker process that answers one request at a time, killed when late. Used by one thread at a time."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import mentor
from mentor import progress
from mentor.errors import GraderError

START_TIMEOUT_S = 120.0  # importing a library on a busy machine takes seconds
BEAT_S = 1.0  # between two beats while it waits, which is never longer than its timeout


class WorkerProcess:
    """`python -m module arguments`: its first line on stdout says that it is ready, each further one is an answer.

    own_stderr: what it prints to stderr goes where this process's does; else it is kept for the error of a bad start.
    It starts by itself: only `ready` and the first request wait until it has.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), own_stderr: bool = False) -> None:
        paths = [str(Path(mentor.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if own_stderr else self._stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # an interrupt at the terminal reaches the parent alone
        )
        self._module = module
        self._buffer = b""
        self._closed = False

    @cached_property
    def ready(self) -> dict[str, Any]:
        """Return what its first line says. Raises GraderError where it does not start."""
        line = self._read_line(time.monotonic() + START_TIMEOUT_S)
        if line is None:
            reason = self._last_words()
            self.kill()
            raise GraderError(f"the process {self._module.rpartition('.')[2]} did not start: {reason}")
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, timeout_s: float) -> dict[str, Any] | None:
        """Send a request and return the answer; None when none came in time or the process died. Discard it then.

        The time counts from when it is ready. Raises GraderError where it does not start.
        """
        assert self.ready and self._process.stdin is not None
        deadline = time.monotonic() + timeout_s
        try:
            self._process.stdin.write(request)
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._read_line(deadline)
        return None if line is None else json.loads(line)

    def ending(self, wait_s: float = 1.0) -> str | None:
        """Say how the process ended, None where it runs on. wait_s: for one whose answers have ended."""
        try:
            code = self._process.wait(wait_s if self._closed else 0)
        except subprocess.TimeoutExpired:
            return None
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _read_line(self, deadline: float) -> bytes | None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._buffer:
            left = max(0.0, deadline - time.monotonic())
            ready = poll.poll(min(left, BEAT_S) * 1000)
            progress.beat()
            if not ready:
                if left <= BEAT_S:
                    return None
                continue
            chunk = os.read(descriptor, 65536)
            if not chunk:
                self._closed = True
                return None
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"no answer within {START_TIMEOUT_S:.0f} s"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()
