"""Start the process of a stage: new, or forked by a server that has imported what stages need.

Several stages of one command share servers: one for every environment, because libraries read theirs when they are
imported. A server is started with the first stage that asks for it, in the owner's folder, and ends with the owner.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mentor.progress import STORE, STORE_FD
from mentor.runs.fork_server import GO, NUMBER, OWNER, Request
from mentor.runs.status import VARIABLE as STATUS

VARIABLE = "MENTOR_FORK_SERVERS"
"""The folder of the servers that the stages of this command share; unset for a single stage."""
IMPORTED = (
    "mentor.stages.evaluate",
    "mentor.stages.pretrain",
    "mentor.stages.report",
    "mentor.stages.rl",
    "mentor.stages.rollout",
    "mentor.stages.sft",
)
OF_RANKS = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"),
    *(STORE, STORE_FD, STATUS),
)
"""Variables that differ between the ranks of a stage; no library reads them when it is imported."""
POLL_S = 0.02
FORK_S = 30.0  # for a server to fork
STARTING_S = 120.0  # for a server to import, on a slow disk

_servers: dict[Path, list[subprocess.Popen[bytes]]] = {}  # that this process started, by their folder


class Process(Protocol):
    """What is used of subprocess.Popen."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, signum: int) -> None: ...


class ForkedProcess:
    """A process that a fork server started. returncode: as of subprocess.Popen; -SIGKILL where the server has died."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._connection = connection
        self._process = os.pidfd_open(pid)  # so that a signal never reaches a later process of this number

    def poll(self) -> int | None:
        """Return the exit code, None while the process runs."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if selector.select(0):
                    self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait until the process has ended; returns its exit code."""
        if self.returncode is None:
            code = self._connection.recv(NUMBER.size, socket.MSG_WAITALL)
            if (
                len(code) < NUMBER.size
            ):  # the server has died, and with it the exit code: resuming starts from a known state
                self.send_signal(signal.SIGKILL)
            self.returncode = NUMBER.unpack(code)[0] if len(code) == NUMBER.size else -signal.SIGKILL
            self._connection.close()
            os.close(self._process)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send a signal; does nothing once the process has ended."""
        if self.returncode is None:
            try:
                signal.pidfd_send_signal(self._process, signum)
            except ProcessLookupError:  # it has ended, and its exit code is on the way
                return


@contextmanager
def shared_fork_servers() -> Iterator[None]:
    """Let the processes that start inside share fork servers, which end with this context or with this process.

    Inside another such context, of this process or of one above, its servers are used.
    """
    if VARIABLE in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="mentor-fork-", ignore_cleanup_errors=True) as folder:
        os.mkfifo(Path(folder) / OWNER)
        alive = os.open(Path(folder) / OWNER, os.O_RDWR | os.O_CLOEXEC)
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            os.close(alive)
            for server in _servers.pop(Path(folder), []):
                server.kill()
                server.wait()


def start_process(
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    pass_fds: Sequence[int],
    wait: bool,
    reads_input: bool = False,
) -> Process:
    """Run `python -m module arguments` as the leader of a process group, with `pass_fds` and this process's output.

    It is forked where servers are shared. wait: for a server to start; else a new process starts at once where none is
    ready, which is faster for a module that imports little. reads_input: it has this process's stdin; others have none.
    """
    folder = environment.get(VARIABLE)
    own = {name: value for name, value in environment.items() if name != VARIABLE}
    if folder is not None and not reads_input:
        forked = _fork(Path(folder), module, arguments, own, pass_fds, wait)
        if forked is not None:
            return forked
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=None if reads_input else subprocess.DEVNULL,
        env=own,
        pass_fds=pass_fds,
        process_group=0,
    )


def _fork(
    folder: Path,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    pass_fds: Sequence[int],
    wait: bool,
) -> ForkedProcess | None:
    """Return the forked process; None where no server can fork it, or none is ready and `wait` is false."""
    connection = _connect(folder, environment, wait)
    if connection is None:
        return None
    umask = os.umask(0o077)
    os.umask(umask)
    try:
        connection.settimeout(FORK_S)
        request = Request(module, arguments, environment, os.getcwd(), umask, [1, 2, *pass_fds])
        request.send(connection, request.fds)
        pid = NUMBER.unpack(connection.recv(NUMBER.size, socket.MSG_WAITALL))[0]
        if pid:
            forked = ForkedProcess(connection, pid)
            connection.sendall(GO)
            connection.settimeout(None)
            return forked
    except (OSError, struct.error):  # the server has died; a fork that waits for GO ends with the connection
        pass
    connection.close()
    return None


def _connect(folder: Path, environment: Mapping[str, str], wait: bool) -> socket.socket | None:
    """Connect to the server of an environment, which is started where there is none and `wait` is true.

    Returns None where the owner has removed the folder, or the server cannot import: the stage then says why.
    """
    shown = sorted((name, value) for name, value in environment.items() if name not in OF_RANKS)
    name = hashlib.sha256(json.dumps(shown).encode()).hexdigest()[:16]
    server: subprocess.Popen[bytes] | None = None
    deadline = time.monotonic() + STARTING_S
    while folder.is_dir():
        connection = _connection(folder, name)
        if connection is not None or not wait or time.monotonic() > deadline:
            return connection
        if server is None:
            server = _start_server(folder, name, environment)
        elif server.poll() is not None:
            return None
        time.sleep(POLL_S)
    return None


def _connection(folder: Path, name: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{fd}/{name}")  # the path of a socket is short
    except (FileNotFoundError, ConnectionRefusedError):  # not started, or dead
        connection.close()
        return None
    finally:
        os.close(fd)
    return connection


def _start_server(folder: Path, name: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
    """Start the server of a name, unless another process is starting it."""
    lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    else:
        modules = [part for module in IMPORTED for part in ("--module", module)]
        command = [sys.executable, "-m", "mentor.runs.fork_server", str(folder), name, *modules]
        server = subprocess.Popen(
            [*command, "--lock-fd", str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it may outlive this process and the reader of its output
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in environment.items() if name not in OF_RANKS},
            pass_fds=[lock],
            process_group=0,
        )
        _servers.setdefault(folder, []).append(server)
        return server
    finally:
        os.close(lock)
