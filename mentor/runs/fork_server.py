"""The process whose forks do stages: `python -m mentor.runs.fork_server folder name --module ... --lock-fd N`.

It imports the modules that most stages need (torch and transformers take seconds), then waits for requests and forks
once for each. A fork runs its module as `python -m` does in a new process: with the requester's environment, working
directory, standard streams and descriptors, as the leader of its own process group. The server itself stays with one
thread and without a CUDA context, which a fork could not use. It ends with the owner of its folder.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mentor.runs.leave import leave

OWNER = "owner"  # a FIFO of the folder: its writing end is open as long as the owner lives
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)  # a cluster sends them to every process of a job
REQUEST_S = 10.0  # for a requester to send all of its request
MAX_FDS = 16
GO = b"\1"  # the requester has the fork's process id: until then the fork does nothing
NUMBER = struct.Struct("!i")  # the length of a request; a process id, 0 where no fork is possible; an exit code


@dataclass(frozen=True)
class Request:
    """What the fork does. fds: the numbers that the sent descriptors get in it; 1 and 2 are among them."""

    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    umask: int
    fds: Sequence[int]

    def send(self, connection: socket.socket, fds: Sequence[int]) -> None:
        """Send the request with its open descriptors, one for each of `self.fds`."""
        text = json.dumps(asdict(self)).encode()
        socket.send_fds(connection, [NUMBER.pack(len(text))], fds)
        connection.sendall(text)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mentor.runs.fork_server", description="Fork a process for every request")
    parser.add_argument("folder", type=Path, help="the owner's folder, where the socket is made")
    parser.add_argument("name", help="of the socket in it")
    parser.add_argument("--module", action="append", default=[], help="imported before the first request")
    parser.add_argument("--lock-fd", type=int, required=True, help="inherited lock, held as long as this process lives")
    arguments = parser.parse_args(argv)
    os.set_inheritable(arguments.lock_fd, False)
    handlers = {signum: signal.signal(signum, signal.SIG_IGN) for signum in IGNORED}
    owner = os.open(arguments.folder / OWNER, os.O_RDONLY | os.O_NONBLOCK)
    before = dict(os.environ)
    for module in arguments.module:
        import_module(module)
    changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        bind(listening, arguments.folder, arguments.name)
        ForkServer(listening, owner, changed, handlers).serve()
    shutil.rmtree(arguments.folder, ignore_errors=True)  # where the owner was killed
    return 0


def bind(listening: socket.socket, folder: Path, name: str) -> None:
    """Make the socket appear under its name once it accepts connections. The path of a socket is short: the folder is
    named by a descriptor."""
    (folder / name).unlink(missing_ok=True)
    fd = os.open(folder, os.O_RDONLY)
    try:
        listening.bind(f"/proc/self/fd/{fd}/{name}.new")
        listening.listen()
        os.rename(f"{name}.new", name, src_dir_fd=fd, dst_dir_fd=fd)
    finally:
        os.close(fd)


class ForkServer:
    """changed: the environment variables that the imports set, as those of a new process would. handlers: of signals,
    as a fork has them."""

    def __init__(
        self, listening: socket.socket, owner: int, changed: Mapping[str, str], handlers: Mapping[signal.Signals, Any]
    ) -> None:
        self._listening, self._owner, self._changed, self._handlers = listening, owner, changed, handlers
        self._forks: dict[int, tuple[int, socket.socket]] = {}  # process id and connection by the process's descriptor

    def serve(self) -> None:
        """Answer requests until the owner has ended."""
        if _has_ended(self._owner):
            return
        gc.collect()
        gc.freeze()  # a fork's collections leave the imported objects in the memory that it shares
        with selectors.DefaultSelector() as selector:
            selector.register(self._owner, selectors.EVENT_READ)
            selector.register(self._listening, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == self._owner:
                        return
                    if key.fd == self._listening.fileno():
                        self._answer(selector)
                    else:
                        self._report(key.fd, selector)

    def _answer(self, selector: selectors.BaseSelector) -> None:
        connection, _ = self._listening.accept()
        received: list[int] = []
        try:
            connection.settimeout(REQUEST_S)
            request, received = _receive(connection)
            pid = 0
            if can_fork():
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    self._become(request, received, connection)
            connection.sendall(NUMBER.pack(pid))
        except (OSError, ValueError, EOFError):  # the requester has gone
            connection.close()
        else:
            if pid:
                process = os.pidfd_open(pid)
                self._forks[process] = (pid, connection)
                selector.register(process, selectors.EVENT_READ)
            else:
                connection.close()
        finally:
            for fd in received:
                os.close(fd)

    def _report(self, process: int, selector: selectors.BaseSelector) -> None:
        """Send the exit code of a fork that has ended."""
        pid, connection = self._forks.pop(process)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        selector.unregister(process)
        os.close(process)
        with connection:
            try:
                connection.sendall(NUMBER.pack(code))
            except OSError:  # the requester has gone
                return

    def _become(self, request: Request, received: Sequence[int], connection: socket.socket) -> None:
        """Be the requested process, and end with its exit code. Without GO nobody knows of this fork, and it ends."""
        code = 1
        try:
            connection.settimeout(None)
            if connection.recv(len(GO)) != GO:
                os._exit(code)
            os.setpgid(0, 0)
            for signum, handler in self._handlers.items():
                signal.signal(signum, handler)
            for open_socket in (connection, self._listening, *(entry for _, entry in self._forks.values())):
                open_socket.close()
            _take_descriptors(received, request.fds)
            os.environ.clear()
            os.environ.update({**request.environment, **self._changed})
            os.chdir(request.folder)
            os.umask(request.umask)
            if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.write_through:  # not PYTHONUNBUFFERED
                sys.stdout.reconfigure(line_buffering=os.isatty(1))
            if "numpy" in sys.modules:
                sys.modules["numpy"].random.seed()  # Python's own generator does so by itself
            if not sys.flags.safe_path:
                sys.path[0] = request.folder
            sys.argv = [request.module, *request.arguments]
            runpy.run_module(request.module, run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
            if isinstance(ending.code, str):
                sys.stderr.write(f"{ending.code}\n")
        except BaseException:
            traceback.print_exc()
        finally:
            leave(code)


def can_fork() -> bool:
    """Return whether a fork of this process can do a stage: no other thread runs, and CUDA was not initialised.

    OpenBLAS ends its threads before a fork and starts them when they are next needed, so a first fork shows what stays.
    """
    if _threads() > 1:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return _threads() == 1 and not any("/dev/nvidia-uvm" in target for target in _open_files())


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _open_files() -> list[str]:
    folder = Path("/proc/self/fd")
    return [os.readlink(path) for path in folder.iterdir() if path.is_symlink()]


def _has_ended(owner: int) -> bool:
    """Return whether no process holds the writing end of the FIFO."""
    try:
        return os.read(owner, 1) == b""
    except BlockingIOError:
        return False


def _receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """Return the request and its descriptors. Raises EOFError where the requester has gone in between."""
    head, fds, _, _ = socket.recv_fds(connection, NUMBER.size, MAX_FDS)
    try:
        if len(head) < NUMBER.size:
            raise EOFError
        left, parts = NUMBER.unpack(head)[0], list[bytes]()
        while left:
            parts.append(connection.recv(min(left, 1 << 20)))
            if not parts[-1]:
                raise EOFError
            left -= len(parts[-1])
        values: dict[str, Any] = json.loads(b"".join(parts))
        return Request(**values), fds
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _take_descriptors(received: Sequence[int], numbers: Sequence[int]) -> None:
    """Give the received descriptors their numbers and close all others but stdin."""
    above = max((*received, *numbers)) + 1
    moved = [os.dup2(fd, above + position) for position, fd in enumerate(received)]
    for fd, number in zip(moved, numbers, strict=True):
        os.dup2(fd, number)
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) not in (0, *numbers):
            try:
                os.close(int(entry))
            except OSError:  # the listing's own
                continue


if __name__ == "__main__":
    sys.exit(main())
