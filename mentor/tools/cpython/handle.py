"""One CPython worker as the program sees it: requests and answers over a socket, stopped between them, ended by force.

Nothing a worker says is believed: its answers are length-checked JSON, and whatever else it writes ends it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import time
from typing import Any

from mentor.tools.inside.confine import LEVELS

START_TIMEOUT_S = 10.0  # for a worker to be there, which takes the imports of its source; longer where loading may be
LOAD_GRACE_S = 0.5  # past the time limit a worker that does not stop loading by itself is ended
KEEPER_GRACE_S = 10.0  # for the keeper of a trusted worker to end all its descendants


class WorkerHandle:
    """One worker as this side sees it. `ready` is what it said on its start: level, missing, failure.

    `supervised`: a keeper stands between, which ends all the worker starts and must not be stopped.
    """

    def __init__(self, end: socket.socket, supervised: bool) -> None:
        self._end = end
        self.supervised = supervised
        self._process: int | None = None  # its descriptor, once it has started
        self._asked = 0
        self.ready: dict[str, Any] | None = None

    @property
    def used(self) -> bool:
        return self._asked > 0

    @property
    def silent(self) -> bool:
        """Whether it waits for a request, as it should between its answers."""
        return not _readable(self._end.fileno(), 0)

    def wait_ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the worker's start, and then at most timeout_s for it to load the source.

        Raises OSError or ValueError when it does not come up, TimeoutError when it takes too long.
        """
        if self.ready is None:
            self._receive_process(time.monotonic() + max(timeout_s, START_TIMEOUT_S))
            ready = json.loads(self._frame(time.monotonic() + timeout_s + LOAD_GRACE_S, 2**16))
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
                self._receive_process(time.monotonic() + START_TIMEOUT_S)
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
