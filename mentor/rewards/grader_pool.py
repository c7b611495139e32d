"""Pool of grader processes: each is started when first needed or before, killed when late, replaced when it has ended.

`GraderPool.judge` may be called from any thread; each call has one process to itself.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import OrderedDict
from collections.abc import Sequence

from mentor.closing import Closing
from mentor.rewards.worker_process import WorkerProcess

CACHE_SIZE = 20_000  # verdicts kept
WORKER = "mentor.rewards.grader_worker"

CacheKey = tuple[str, str, tuple[str, ...]]


class GraderPool(Closing):
    """Up to `workers` grader processes and a cache of their verdicts."""

    def __init__(self, workers: int) -> None:
        self._slots: queue.LifoQueue[WorkerProcess | None] = queue.LifoQueue()
        self._workers = workers
        for _ in range(workers):
            self._slots.put(None)
        self._cache: OrderedDict[CacheKey, bool] = OrderedDict()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start all processes, for calls that come later: no call may be under way. They get ready by themselves."""
        for process in [self._slots.get() for _ in range(self._workers)]:
            self._slots.put(process or WorkerProcess(WORKER))

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
        keep: WorkerProcess | None = None
        try:
            if process is None or not process.alive:
                self._discard(process)
                process = None
                process = WorkerProcess(WORKER)
            request = {"judge": judge, "prediction": prediction, "accepted": accepted, "limit_s": timeout_s}
            reply = process.ask(json.dumps(request).encode() + b"\n", timeout_s)
            keep = process if reply is not None else None
            return None if reply is None else reply["verdict"]
        finally:
            if keep is None:
                self._discard(process)
            self._slots.put(keep)

    @staticmethod
    def _discard(process: WorkerProcess | None) -> None:
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the processes, once the calls under way have returned; a later call starts new ones."""
        for process in [self._slots.get() for _ in range(self._workers)]:
            self._discard(process)
            self._slots.put(None)
