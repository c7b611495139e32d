"""Threads that wait for tool workers, so that the event loop does not.

A leaner `run_in_executor`: results that are ready at the same time wake the loop once, which matters where a call takes
a tenth of a millisecond.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class CallThreads:
    """`count` threads for the running event loop; made inside it."""

    def __init__(self, count: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, name=f"tools_{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def run(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Make a blocking call as soon as a thread is free. A call that is cancelled after it began still ends."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((future, function, arguments))
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function, arguments = job
            if future.cancelled():
                continue
            result, error = None, None
            try:
                result = function(*arguments)
            except BaseException as raised:  # handed to whoever awaits the call
                error = raised
            with self._lock:
                asleep = not self._done
                self._done.append((future, result, error))
            if asleep:
                self._loop.call_soon_threadsafe(self._deliver)
            del job, future, function, arguments, result, error

    def _deliver(self) -> None:
        with self._lock:
            done, self._done = self._done, deque()
        for future, result, error in done:
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    async def close(self) -> None:
        """Cancel the calls that have not begun and wait for the others."""
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._deliver()
