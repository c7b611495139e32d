"""A term or grader of the user's own: `path/to/file.py:function`, called in worker processes with a time limit.

    def brief(task, trajectory, calls):  # any of the three, by name
        return 1.0  # a number, or numbers by name

A call that raises, hangs or returns no finite number is a missing grade.
"""

from __future__ import annotations

import ast
import pickle
import queue
import re
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mentor.closing import Closing
from mentor.errors import ConfigError, InputError, one_line
from mentor.rewards.grades import Grade, Missing
from mentor.rewards.worker_process import WorkerProcess
from mentor.tools.source import parse_source
from mentor.types import Task, Trajectory

ARGUMENTS = ("task", "trajectory", "calls")
SIZE = struct.Struct(">Q")  # of the pickled trajectory that follows in a request
_FORM = re.compile(r"(.+\.py):(\w+)")


@dataclass(frozen=True)
class FunctionPath:
    """A function of a file, written `path/to/file.py:function`."""

    file: Path
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.function}"

    @classmethod
    def read(cls, text: str) -> FunctionPath | None:
        """Return None for a text of another form."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(Path(found[1]), found[2])


def check_function(source: FunctionPath, where: str) -> None:
    """Read the file, without running it, and raise ConfigError where it has no such function that can be called."""
    given = f"`{where}={source}`"
    if not source.file.is_file():
        raise ConfigError(f"{given}: {source.file} is not a file; accepted: path/to/file.py:function")
    try:
        tree = parse_source(source.file.read_text(encoding="utf-8"), str(source.file))
    except (InputError, UnicodeDecodeError) as error:
        raise ConfigError(f"{given}: {one_line(error)}") from None
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    function = functions.get(source.function)
    if function is None:
        if source.function in _other_names(tree):
            return  # made or imported: what it takes is known when the file runs
        near = get_close_matches(source.function, functions, n=1)
        hint = f"did you mean {near[0]}?" if near else f"its functions: {', '.join(functions) or 'none'}"
        raise ConfigError(f"{given}: the file has no function {source.function}; {hint}")
    if isinstance(function, ast.AsyncFunctionDef):
        raise ConfigError(f"{given}: {source.function} is async; accepted: def")
    problem = _wrong_arguments(function.args)
    if problem is not None:
        accepted = ", ".join(ARGUMENTS)
        raise ConfigError(f"{given}: {source.function} takes {problem}; accepted: any of {accepted}, by name")


def _other_names(tree: ast.Module) -> set[str]:
    """The names that top-level imports, assignments and classes bind."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            names.add(node.name)
        else:
            names |= {
                name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
    return names


def _wrong_arguments(given: ast.arguments) -> str | None:
    """Say what is wrong with a signature, None where it can be called with some of ARGUMENTS."""
    if given.posonlyargs:
        return f"{given.posonlyargs[0].arg} by position only"
    names = [argument.arg for argument in (*given.args, *given.kwonlyargs)]
    optional = {argument.arg for argument in given.args[len(given.args) - len(given.defaults) :]}
    defaults = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    optional |= {argument.arg for argument, default in defaults if default is not None}
    strange = [name for name in names if name not in ARGUMENTS and name not in optional]
    if strange:
        return ", ".join(strange)
    return None if given.kwarg or set(names) & set(ARGUMENTS) else f"{', '.join(names) or 'nothing'}"


class OwnFunction(Closing):
    """Calls the function in up to `workers` processes at once. Thread-safe. timeout_s: wall clock of one call.

    Raises InputError where the file cannot be run.
    """

    of_all = False

    def __init__(self, source: FunctionPath, timeout_s: float, workers: int) -> None:
        self.source, self.timeout_s = source, timeout_s
        self._threads = ThreadPoolExecutor(workers, "own-function")
        self._slots: queue.LifoQueue[WorkerProcess | None] = queue.LifoQueue()
        self._workers = workers
        first = self._start()
        for slot in (*[None] * (workers - 1), first):
            self._slots.put(slot)

    def lacks(self, task: Task) -> str | None:
        """Return None: the function knows what it needs."""
        return None

    def grades(self, trajectories: Sequence[Trajectory]) -> Sequence[Grade]:
        """Call the function on each trajectory."""
        return [*self._threads.map(self._grade, trajectories)]

    def _grade(self, trajectory: Trajectory) -> Grade:
        content = pickle.dumps(trajectory, pickle.HIGHEST_PROTOCOL)
        process, keep = self._slots.get(), None
        try:
            if process is None:
                process = self._start()
            reply = process.ask(SIZE.pack(len(content)) + content, self.timeout_s)
            if reply is None:
                return self._missing(trajectory, *self._no_reply(process))
            keep = process
        finally:
            if keep is None and process is not None:
                process.kill()
            self._slots.put(keep)
        if "failure" in reply:
            return self._missing(trajectory, reply["failure"], reply["kind"])
        value: Any = reply["value"]
        return value

    def _missing(self, trajectory: Trajectory, why: str, kind: str) -> Missing:
        return Missing(f"{self.source} on task {trajectory.task.id} {why}", kind)

    def _no_reply(self, process: WorkerProcess) -> tuple[str, str]:
        ended = process.ending()
        if ended is None:
            return f"took more than {self.timeout_s:g} s", "timeout"
        return f"ended its process ({ended})", "crash"

    def _start(self) -> WorkerProcess:
        arguments = [str(self.source.file), self.source.function]
        process = WorkerProcess("mentor.rewards.function_worker", arguments, own_stderr=True)
        if "failure" in process.ready:
            process.kill()
            raise InputError(f"{self.source} cannot be loaded: {process.ready['failure']}")
        return process

    def close(self) -> None:
        self._threads.shutdown()
        for process in [self._slots.get() for _ in range(self._workers)]:
            if process is not None:
                process.kill()
