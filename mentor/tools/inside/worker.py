"""The program of the CPython workers: a template process that forks one worker for every session.

Started by the sandbox as `python worker.py FD`, where FD is one end of a socket; imports no mentor package. The
template confines itself, imports what the tools' source names and then forks a worker for every file descriptor it is
handed. It never runs the source. A worker loads the source, answers calls on its descriptor and is thrown away.

Frames are a length of 4 bytes and JSON. A worker's answers are data that its tools may have forged: whoever reads them
must check them.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.util
import inspect
import json
import os
import signal
import socket
import struct
import sys
import traceback
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

MAX_FRAME = 2**28
NAME = "tools"  # the module and file name of the source
CPU_S = 3600  # of a worker in all; calls end long before by their own time limit
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def load_beside(name: str) -> ModuleType:
    """Load a file of this folder as a module, whatever the search path is."""
    spec = importlib.util.spec_from_file_location(f"_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_frame(fd: int) -> Any:
    """Read the next frame. Raises EOFError at the end."""
    return json.loads(_read(fd, struct.unpack("<I", _read(fd, 4))[0]))


def _read(fd: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.read(fd, min(size, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def write_frame(fd: int, value: Any) -> None:
    body = json.dumps(value).encode()
    data = memoryview(struct.pack("<I", len(body)) + body)
    while data:
        data = data[os.write(fd, data) :]


class Template:
    """Confined as far as the host allows; then forks a worker for every descriptor that comes."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.settings = read_frame(control.fileno())
        self.trusted: bool = self.settings["trusted"]
        self.confine = load_beside("confine")
        self.driver = load_beside("driver")
        self.missing: list[str] = []

    def run(self) -> None:
        paths = self.confine.readable_paths()
        if not self.trusted:
            self._note(self.confine.leave_namespaces())
            inside = os.fork()
            if inside:
                self.control.close()
                os._exit(os.waitstatus_to_exitcode(os.waitpid(inside, 0)[1]) != 0)
            self.confine.prctl(self.confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        self.size = os.open("/proc/self/statm", os.O_RDONLY)
        if not self.trusted:
            if not self.missing:
                self._note(self.confine.shrink_root(paths))
            self.confine.drop_capabilities()
            paths = [path for path in paths if os.path.exists(path)]
            self._note(self.confine.restrict_files(paths))
            self._note(self.confine.restrict_syscalls(may_fork=True))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # workers that end are reaped by the kernel
        self._import()
        self.code = self._compile()
        if not self.trusted:
            self.confine.prepare()
        gc.collect()
        gc.freeze()  # what is shared with the workers stays shared
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
            if not data:
                break
            if os.fork() == 0:
                self._become_worker(descriptors[0])
            os.close(descriptors[0])

    def _note(self, problem: str | None) -> None:
        if problem is not None:
            self.missing.append(problem)

    def _import(self) -> None:
        """Import what the source will, once for all workers; what cannot be imported is the source's own failure."""
        if not self.trusted:
            os.environ.update(dict.fromkeys(THREADS, "1"))
        for name in self.settings["imports"]:
            try:
                importlib.import_module(name)
            except BaseException:  # raised again, with its line, where the source imports it
                continue
        sys.path[:0] = self.settings["folders"]

    def _compile(self) -> CodeType | str:
        try:
            return compile(self.settings["source"], NAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"{getattr(error, 'lineno', None) or 1}:{error}"

    def _become_worker(self, call: int) -> None:
        """Never returns."""
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.control.close()
            confine = self.confine
            # The descriptor of this process lets the sandbox end it, whatever its number is there.
            with socket.socket(fileno=os.dup(call)) as end:
                own = os.pidfd_open(os.getpid())
                socket.send_fds(end, [b"p"], [own])
                os.close(own)
            confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGTERM if self._supervised else signal.SIGKILL)
            if self._supervised:
                keep(confine)
            os.setsid()
            pages = int(os.pread(self.size, 200, 0).split()[0])
            memory = pages * os.sysconf("SC_PAGE_SIZE") + self.settings["memory_bytes"]
            os.dup2(call, 3)
            if not self.trusted:
                os.closerange(4, os.sysconf("SC_OPEN_MAX"))
                os.environ.clear()
            missing = list(self.missing)
            problems = [confine.limit_resources(memory, CPU_S, not self.trusted)]
            if not self.trusted:
                problems.append(confine.restrict_syscalls(may_fork=False))
            missing += [problem for problem in problems if problem is not None and problem not in missing]
            Worker(self.driver, self.settings).serve(self.code, self._level(missing), missing)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass  # the sandbox is done with this worker
        finally:
            os._exit(0)

    @property
    def _supervised(self) -> bool:
        return self.trusted or any(problem.startswith("seccomp") for problem in self.missing)

    def _level(self, missing: list[str]) -> str:
        kinds = {problem.partition(":")[0] for problem in missing}
        if self.trusted or "rlimits" in kinds:
            return self.confine.LEVELS[0]
        if kinds & {"landlock", "seccomp"}:
            return self.confine.LEVELS[1]
        return self.confine.LEVELS[2 if kinds else 3]


def keep(confine: ModuleType) -> None:
    """Fork, return in the child, and stay as the keeper of all its descendants, who cannot leave it.

    When the child ends, or the keeper is asked to end by SIGTERM, every descendant is killed: the child's process group
    at once, and those who left it as long as any is found.
    """
    confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    awaited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    worker = os.fork()
    if worker == 0:
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
        return
    os.closerange(3, 256)
    while signal.sigwait(awaited) == signal.SIGCHLD:
        if os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            break
    groups = {worker}
    while True:
        for group in groups:
            for end in (os.killpg, os.kill):
                try:
                    end(group, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):  # no group, gone, or another user's
                    continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            os._exit(0)  # nobody is left
        groups = descendants(os.getpid())


def descendants(pid: int) -> set[int]:
    """Return every process below `pid`, by number."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError):  # it ended meanwhile
                continue
            parents.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        below = [child for child in parents.get(waiting.pop(), []) if child not in found]
        found.update(below)
        waiting += below
    return found


class Worker:
    """One session: the source's module, and its calls one after the other."""

    def __init__(self, driver: ModuleType, settings: dict[str, Any]) -> None:
        self.render, self.describe = driver._mentor_render, driver._mentor_describe
        self.limit: int = settings["max_output_chars"]
        self.names: list[str] = settings["names"]
        self.loop: asyncio.AbstractEventLoop | None = None

    def serve(self, code: CodeType | str, level: str, missing: list[str], fd: int = 3) -> None:
        """Load the source, say how it went, and answer until the descriptor is closed."""
        module = ModuleType(NAME)
        sys.modules[NAME] = module
        failure = code if isinstance(code, str) else self._run(code, module.__dict__)
        write_frame(fd, {"level": level, "missing": missing, "failure": failure})
        tools = {} if failure else {name: module.__dict__[name] for name in self.names}
        while True:
            asked = read_frame(fd)
            if "probe" in asked:
                code = compile(asked["probe"], "probe", "exec", dont_inherit=True)
                kind, text = "ok", self._run(code, module.__dict__)
            else:
                kind, text = self.call(tools, asked["name"], asked["arguments"])
            write_frame(fd, {"id": asked["id"], "kind": kind, "text": text})

    def _run(self, code: CodeType, scope: dict[str, Any]) -> str:
        """Why code does not run, as `line:reason`; empty when it does."""
        try:
            exec(code, scope)
        except BaseException as error:
            frames = [
                frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename
            ]
            line = frames[-1].lineno if frames else getattr(error, "lineno", None)
            return f"{line or 1}:{self.describe(error)}"
        return ""

    def call(self, tools: dict[str, Any], name: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """(kind, text): `ok` and the result as text, or an error kind and what went wrong."""
        try:
            value = tools[name](**arguments)
            if inspect.isawaitable(value):
                value = self._await(value)
            return "ok", self.render(value, self.limit)
        except RecursionError as error:
            return "crash", self.describe(error)
        except BaseException as error:
            # The interpreter's own error says nothing, numpy's is a subclass; with words it is the tool's.
            full = isinstance(error, MemoryError) and (not error.args or type(error) is not MemoryError)
            return "memory" if full else "exception", self.describe(error)

    def _await(self, value: Any) -> Any:
        if self.loop is None:
            self.loop = asyncio.new_event_loop()

        async def awaited() -> Any:
            return await value

        return self.loop.run_until_complete(awaited())


if __name__ == "__main__":
    Template(socket.socket(fileno=int(sys.argv[1]))).run()
