"""The program of the CPython workers: a template process that forks one worker for every session.

Started by the sandbox as `python worker.py FD`, where FD is one end of a socket; imports no mentor package. The
template confines itself, imports what the tools' source names and then forks a worker for every file descriptor it is
handed. It never runs the source. A worker loads the source, answers calls on its descriptor and is thrown away.

Frames are a length of 4 bytes and JSON. A worker's answers are data that its tools may have forged: whoever reads them
must check them.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import struct
import sys
import traceback
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # takes longer to import than all else, and only coroutines need it
    import asyncio

MAX_FRAME = 2**28
NAME = "tools"  # the module and file name of the source
CPU_S = 3600  # of a worker in all; calls end long before by their own time limit
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def load_beside(name: str) -> ModuleType:
    """Load a file of this folder as a module, whatever the search path is."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_{name}", path)
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
        self.hints = load_beside("hints") if self.settings["converted"] else None
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
        coroutines = ["asyncio"] if "async " in self.settings["source"] else []
        for name in [*self.settings["imports"], *coroutines]:
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
            level = self._level(missing)
            levels = self.confine.LEVELS
            code = self.code if levels.index(level) >= levels.index(self.settings["floor"]) else "0:below the floor"
            Worker(self.driver, self.hints, self.settings).serve(code, level, missing)
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
    """One session: the source's module with an instance of each of its tool classes, and calls one after the other."""

    def __init__(self, driver: ModuleType, hints: ModuleType | None, settings: dict[str, Any]) -> None:
        self.driver, self.hints, self.settings = driver, hints, settings
        self.module = ModuleType(NAME)
        self.tools: dict[str, Any] = {}
        self.readers: dict[str, Any] = {}  # of converted arguments, by tool
        self.unread: dict[str, Any] = {}  # why a tool has no reader, by tool
        self.loop: asyncio.AbstractEventLoop | None = None

    def serve(self, code: CodeType | str, level: str, missing: list[str], fd: int = 3) -> None:
        """Load the source, say how it went, and answer until the descriptor is closed."""
        sys.modules[NAME] = self.module
        failure = code if isinstance(code, str) else self.load(code)
        write_frame(fd, {"level": level, "missing": missing, "failure": failure})
        while True:
            asked = read_frame(fd)
            kind, text = self.answer(asked)
            write_frame(fd, {"id": asked["id"], "kind": kind, "text": text})

    def answer(self, asked: dict[str, Any]) -> tuple[str, str]:
        """(kind, text) for a request: code to try, the converted arguments to describe, or a call."""
        if "probe" in asked:
            return "ok", self.probe(asked["probe"])
        if "describe" in asked:
            return "ok", json.dumps(self.describe())
        return self.call(asked["name"], asked["arguments"])

    def load(self, code: CodeType) -> str:
        """Run the source and make the instances, within the time. Returns why that fails, as `line:reason`, or ""."""
        seconds = self.settings["load_timeout_s"]

        def too_long(number: int, frame: FrameType | None) -> None:
            raise TimeoutError(f"not loaded within tools.load_timeout_s={seconds:g} s")

        signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        failure = self.run(code)
        classes = {name: line for name, line in self.settings["owners"].values()}
        for name, line in classes.items():
            made = compile("\n" * (line - 1) + f"_mentor_{name} = {name}()", NAME, "exec", dont_inherit=True)
            failure = failure or self.run(made)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        if not failure:
            self.tools = {name: self._tool(name) for name in self.settings["names"]}
            self._make_readers()
        return failure

    def _tool(self, name: str) -> Any:
        scope, owner = self.module.__dict__, self.settings["owners"].get(name)
        return scope[name] if owner is None else getattr(scope[f"_mentor_{owner[0]}"], name)

    def run(self, code: CodeType) -> str:
        """Why code does not run in the module, as `line:reason`; empty when it does."""
        try:
            exec(code, self.module.__dict__)
        except BaseException as error:
            frames = [
                frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == code.co_filename
            ]
            line = frames[-1].lineno if frames else getattr(error, "lineno", None)
            return f"{line or 1}:{self.driver._mentor_describe(error)}"
        return ""

    def probe(self, codes: list[str]) -> str:
        """Run pieces of code in the module: `number:reason` of the first that fails, empty when all run."""
        for number, code in enumerate(codes):
            failure = self.run(compile(code, "probe", "exec", dont_inherit=True))
            if failure:
                return f"{number}:{failure.partition(':')[2]}"
        return ""

    def describe(self) -> dict[str, Any]:
        """What converted arguments are, by tool; `problem` of a tool whose hints cannot be used, with the parameter."""
        described = dict(self.unread)
        for name, reader in self.readers.items():
            assert self.hints is not None
            try:
                described[name] = reader.describe()
            except self.hints.HintError as error:
                described[name] = {"problem": str(error), "parameter": error.parameter}
        return described

    def _make_readers(self) -> None:
        """Make the readers of converted arguments now, out of the time of a call."""
        for name, parameters in self.settings["converted"].items():
            assert self.hints is not None
            try:
                self.readers[name] = self.hints.ArgumentReader(self.tools[name], parameters)
            except self.hints.HintError as error:
                self.unread[name] = {"problem": str(error), "parameter": error.parameter}

    def call(self, name: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """(kind, text): `ok` and the result as text, or an error kind and what went wrong."""
        describe, settings = self.driver._mentor_describe, self.settings
        try:
            if name in self.readers:
                try:
                    arguments = self.readers[name].read(arguments)
                except ValueError as error:
                    return "invalid_arguments", str(error)
            value = self.tools[name](**arguments)
            if hasattr(type(value), "__await__"):
                value = self._await(value)
            return "ok", self.driver._mentor_render(value, settings["max_output_chars"], settings["float_digits"])
        except RecursionError as error:
            return "crash", describe(error)
        except BaseException as error:
            # The interpreter's own error says nothing, numpy's is a subclass; with words it is the tool's.
            full = isinstance(error, MemoryError) and (not error.args or type(error) is not MemoryError)
            return "memory" if full else "exception", describe(error)

    def _await(self, value: Any) -> Any:
        import asyncio

        if self.loop is None:
            self.loop = asyncio.new_event_loop()

        async def awaited() -> Any:
            return await value

        return self.loop.run_until_complete(awaited())


if __name__ == "__main__":
    Template(socket.socket(fileno=int(sys.argv[1]))).run()
