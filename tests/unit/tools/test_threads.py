"""Threads that wait for workers: results, errors, cancelled calls, and the end."""

import asyncio
import threading

import pytest

from mentor.tools.threads import CallThreads


def test_results_and_errors_come_back_to_their_calls():
    async def run():
        threads = CallThreads(2)
        gathered = await asyncio.gather(*(threads.run(lambda n: 10 // n, n) for n in (1, 2, 0)), return_exceptions=True)
        await threads.close()
        return gathered

    *fine, error = asyncio.run(run())
    assert fine == [10, 5] and isinstance(error, ZeroDivisionError)


def test_as_many_calls_at_once_as_there_are_threads():
    async def run():
        threads = CallThreads(2)
        barrier = threading.Barrier(2, timeout=5)
        places = await asyncio.gather(threads.run(barrier.wait), threads.run(barrier.wait))
        await threads.close()
        return sorted(places)

    assert asyncio.run(run()) == [0, 1]


def test_a_call_that_has_not_begun_is_cancelled_by_the_end():
    async def run():
        threads = CallThreads(1)
        begun, go = threading.Event(), threading.Event()
        first = threads.run(lambda: begun.set() or go.wait(5))
        waiting = threads.run(lambda: pytest.fail("it ran"))
        await asyncio.to_thread(begun.wait, 5)
        asyncio.get_running_loop().call_later(0.01, go.set)
        await threads.close()
        return first.result(), waiting.cancelled()

    assert asyncio.run(run()) == (True, True)
