"""Pool of grader processes: each is started when first needed, killed when late, and replaced when it has ended.

`GraderPool.judge` may be called from any thread; each call has one process to itself.
"""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mentor
from mentor.closing import Closing
from mentor.errors import GraderError

START_TIMEOUT_S = 120.0  # importing sympy on a busy machine takes seconds
CACHE_SIZE = 20_000  # verdicts kept

CacheKey = tuple[str, str, tuple[str, ...]]


class GraderProcess:
    """One worker, used by one thread at a time."""

    def __init__(self) -> None:
        paths = [str(Path(mentor.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mentor.rewards.grader_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # an interrupt at the terminal reaches the parent alone
        )
        self._buffer = b""
        if self._read_line(time.monotonic() + START_TIMEOUT_S) is None:
            reason = self._last_words()
            self.kill()
            raise GraderError(f"a grader process did not start: {reason}")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """Send a request and return the reply; None when none came in time or the process died. Discard it then."""
        assert self._process.stdin is not None
        deadline = time.monotonic() + timeout_s
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        line = self._read_line(deadline)
        return None if line is None else json.loads(line)

    def _read_line(self, deadline: float) -> bytes | None:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        while b"\n" not in self._buffer:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            chunk = os.read(descriptor, 65536)
            if not chunk:
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


class GraderPool(Closing):
    """Up to `workers` grader processes and a cache of their verdicts."""

    def __init__(self, workers: int) -> None:
        self._slots: queue.LifoQueue[GraderProcess | None] = queue.LifoQueue()
        self._workers = workers
        for _ in range(workers):
            self._slots.put(None)
        self._cache: OrderedDict[CacheKey, bool] = OrderedDict()
        self._lock = threading.Lock()

    def judge(self, judge: str, prediction: str, accepted: Sequence[str], timeout_s: float) -> bool | None:
        """Return the verdict of `judge` ("project" or "released"); None when it failed or took more than `timeout_s`.

        None is not cached: the machine may have been busy, and the next call asks again.
        Raises GraderError where no grader process can be started.
        """
        key = (judge, prediction, tuple(accepted))
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        verdict = self._ask(judge, prediction, list(accepted), timeout_s)
        if verdict is None:
            return None
        with self._lock:
            self._cache[key] = verdict
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return verdict

    def _ask(self, judge: str, prediction: str, accepted: list[str], timeout_s: float) -> bool | None:
        process = self._slots.get()
        keep: GraderProcess | None = None
        try:
            if process is None or not process.alive:
                self._discard(process)
                process = None
                process = GraderProcess()
            request = {"judge": judge, "prediction": prediction, "accepted": accepted, "limit_s": timeout_s}
            reply = process.ask(request, timeout_s)
            keep = process if reply is not None else None
            return None if reply is None else reply["verdict"]
        finally:
            if keep is None:
                self._discard(process)
            self._slots.put(keep)

    @staticmethod
    def _discard(process: GraderProcess | None) -> None:
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the processes, once the calls under way have returned; a later call starts new ones."""
        for process in [self._slots.get() for _ in range(self._workers)]:
            self._discard(process)
            self._slots.put(None)
