"""The tools of a run: one toolset for all tasks, or a task's own where it brings source and schemas, or schemas alone.

task -> **toolbox** -> executor. Executors open when the first task needs them; those that no trajectory uses are closed
again once there are many.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from types import TracebackType

from mentor.errors import InputError
from mentor.tools.call_counts import CallCounts
from mentor.tools.executor import ToolExecutor
from mentor.tools.toolsets import Toolset
from mentor.types import NO_TOOLS, Task

MAX_IDLE = 8  # open executors that nothing uses; each holds worker processes


@dataclass
class _Open:
    """An executor that is open, or that its first user opens while others wait."""

    executor: ToolExecutor
    users: int = 0
    is_open: bool = False
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def ready(self) -> None:
        async with self.opening:
            if not self.is_open:
                await self.executor.__aenter__()
                self.is_open = True


class Toolbox:
    """Opens executors of toolsets with `make`; use through `async with`.

    default: None where every task has its own. engine, trusted: of the tasks' own tools, as for `Toolset.from_row`.
    report: is told once of every tool that fails. counts: of the calls of all executors.
    """

    def __init__(
        self,
        default: Toolset | None,
        make: Callable[..., ToolExecutor] = ToolExecutor,
        engine: str = "auto",
        trusted: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.default = default
        self._make = make
        self._engine, self._trusted = engine, trusted
        self._toolsets: dict[str, Toolset] = {}
        self._open: OrderedDict[str, _Open] = OrderedDict()  # the longest unused first
        self.counts = CallCounts(report)

    def toolset(self, task: Task) -> Toolset:
        """Return the tools that a task is solved with, as it is shown them.

        Raises InputError where it has none, or none that can run.
        """
        return self._own_toolset(task).perturbed(task.perturbation)

    def _own_toolset(self, task: Task) -> Toolset:
        if task.tools is None:
            if self.default is None:
                raise InputError(
                    f"task {task.id} has no tools of its own, which tools=row needs: choose a toolset for it, "
                    "such as tools=calculator"
                )
            return self.default
        if task.tools == NO_TOOLS:
            return Toolset.none()
        key = _key(task)
        if task.gold is not None:
            self._toolsets.setdefault(key, Toolset.listed(task.tools.schemas))
        elif task.tools.env is None:
            if not self.serves(task):
                raise InputError(
                    f"task {task.id}: its tools have schemas but no code, so no call of them can run: "
                    f"{', '.join(_names(task))}; accepted: tools=file tools.path=<tools.py> that defines them"
                )
            assert self.default is not None
            self._toolsets.setdefault(key, replace(self.default, schemas=task.tools.schemas))
        elif key not in self._toolsets:
            env, schemas, origin = task.tools.env, task.tools.schemas, f"task {task.id}"
            self._toolsets[key] = Toolset.from_row(env, schemas, origin, self._engine, self._trusted)
        return self._toolsets[key]

    def serves(self, task: Task) -> bool:
        """Whether the task's calls can run: a tool of which it brings the schema alone is the run's of that name."""
        if task.tools is None:
            return self.default is not None
        by_name = task.tools.env is None and task.tools != NO_TOOLS
        return not by_name or self.default is not None and set(_names(task)) <= set(self.default.names)

    def schemas_json(self, task: Task) -> str:
        """Return the schemas that the task's prompt shows, as JSON text."""
        return self.toolset(task).schemas_json

    @property
    def summary(self) -> str:
        """One line for the log: which tools, in which engine, and their isolation."""
        return self._open[""].executor.summary if self.default is not None else "tools: those of each task"

    def lease(self, task: Task) -> AbstractAsyncContextManager[ToolExecutor]:
        """Lease the open executor of the task's tools; it stays open until the lease ends.

        That of a perturbed task is for one trajectory.
        """
        return _Lease(self, task)

    def _hold(self, key: str, toolset: Toolset) -> _Open:
        if key not in self._open:
            self._open[key] = _Open(self._make(toolset, counts=self.counts))
        return self._open[key]

    async def _take(self, key: str, task: Task) -> _Open:
        held = self._hold(key, self._own_toolset(task))
        held.users += 1
        try:
            await held.ready()
        except BaseException:
            held.users -= 1
            raise
        return held

    async def _give_back(self, key: str, held: _Open) -> None:
        held.users -= 1
        if self._open.get(key) is held:  # a toolbox that was closed meanwhile has forgotten it
            self._open.move_to_end(key)
            await self._close_idle()

    async def _close_idle(self) -> None:
        idle = [key for key, held in self._open.items() if key and held.users == 0]
        surplus = [self._open.pop(key) for key in idle[: max(0, len(idle) - MAX_IDLE)]]
        for held in surplus:  # out of reach before the first of them is awaited
            await self._close(held)

    async def _close(self, held: _Open) -> None:
        await held.executor.__aexit__(None, None, None)

    async def __aenter__(self) -> Toolbox:
        """Opens the run's own toolset, so that tools that cannot run are known before anything is sampled."""
        if self.default is not None:
            await self._hold("", self.default).ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait for the calls that run, at most their time limit, and end every worker."""
        while self._open:
            _, held = self._open.popitem()
            await self._close(held)


class _Lease(AbstractAsyncContextManager[ToolExecutor]):
    """No generator: one that a signal interrupts is closed when nothing can be awaited any more."""

    def __init__(self, toolbox: Toolbox, task: Task) -> None:
        self._toolbox, self._task, self._key = toolbox, task, _key(task)

    async def __aenter__(self) -> ToolExecutor:
        self._held = await self._toolbox._take(self._key, self._task)
        return self._held.executor.perturbed(self._task.perturbation)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._toolbox._give_back(self._key, self._held)


def _names(task: Task) -> list[str]:
    return [] if task.tools is None else [schema["function"]["name"] for schema in task.tools.schemas]


def _key(task: Task) -> str:
    if task.tools is None:
        return ""
    return f"{'' if task.gold is None else 'listed '}{json.dumps(task.tools.to_dict(), sort_keys=True)}"
