"""The engine of tools in CPython workers: every session has a worker, which is ended with it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from mentor.tools.cpython.cpython_check import check_loaded
from mentor.tools.cpython.handle import WorkerHandle
from mentor.tools.cpython.pool import WorkerPool
from mentor.tools.engine import CallOutcome, Limits
from mentor.tools.sessions import SessionEngine
from mentor.tools.source import Source


@dataclass
class WorkerSlot:
    """The worker of a session, between its calls."""

    worker: WorkerHandle | None = None


class CPythonEngine(SessionEngine[WorkerSlot]):
    """A call that leaves its worker in doubt ends it; the session's next call has a new one."""

    def __init__(self, source: Source, limits: Limits) -> None:
        super().__init__(limits)
        self._source = source
        self.pool = WorkerPool(source, limits, spares=limits.workers)

    @property
    def isolation(self) -> str:
        return self.pool.level

    @property
    def ends_slowly(self) -> bool:
        return self.pool.supervised

    def start(self) -> None:
        with ExitStack() as undo:
            check_loaded(undo.enter_context(self.pool), self._source)
            undo.pop_all()

    def stop(self) -> None:
        self.pool.__exit__(None, None, None)

    def new_state(self) -> WorkerSlot:
        return WorkerSlot()

    def run(self, state: WorkerSlot, name: str, arguments: dict[str, Any], keep: bool) -> CallOutcome:
        worker, state.worker = state.worker, None
        if worker is None:
            worker = self.pool.take()
        alive = False
        try:
            outcome, alive = self.pool.call(worker, name, arguments)
        finally:
            if alive and keep:
                state.worker = worker
            else:
                worker.end()
        return outcome

    def end(self, state: WorkerSlot) -> None:
        if state.worker is not None:
            state.worker.end()
            state.worker = None
