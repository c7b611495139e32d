"""Sessions of an engine whose calls block: order, what they share, and their end."""

import asyncio
import threading
from typing import Any

import pytest

from mentor.errors import ToolError
from mentor.tools.engine import CallOutcome, Limits
from mentor.tools.sessions import SessionEngine


class Notes(SessionEngine[list[str]]):
    """A state is the names of the calls made from it; `wait` waits for `go`."""

    isolation = "process"

    def __init__(self) -> None:
        super().__init__(Limits(workers=2))
        self.events: list[str] = []
        self.go = threading.Event()

    def start(self) -> None:
        self.events.append("start")

    def stop(self) -> None:
        self.events.append("stop")

    def new_state(self) -> list[str]:
        return []

    def run(self, state: list[str], name: str, arguments: dict[str, Any], keep: bool) -> CallOutcome:
        if name == "wait":
            assert self.go.wait(5)
        state.append(name)
        return CallOutcome(None, f"{','.join(state)} {keep}")

    def end(self, state: list[str]) -> None:
        self.events.append(f"end {','.join(state)}")


async def texts(engine, *calls):
    return [outcome.text for outcome in await asyncio.gather(*(engine.call(n, {}, s) for n, s in calls))]


def test_calls_of_a_session_share_a_state_in_the_order_they_are_made():
    async def run():
        engine = Notes()
        await engine.open()
        asyncio.get_running_loop().call_later(0.02, engine.go.set)
        found = await texts(engine, ("wait", "s"), ("b", "s"), ("c", "t"), ("d", None))
        await engine.end_session("s")
        await engine.end_session("none such")
        await engine.close()
        return found, engine.events

    found, events = asyncio.run(run())
    assert found == ["wait True", "wait,b True", "c True", "d False"]
    assert events == ["start", "end wait,b", "end c", "stop"]


def test_the_end_of_a_session_waits_for_a_cancelled_call_that_still_runs():
    async def run():
        engine = Notes()
        await engine.open()
        call = asyncio.create_task(engine.call("wait", {}, "s"))
        await asyncio.sleep(0.02)
        call.cancel()
        asyncio.get_running_loop().call_later(0.02, engine.go.set)
        await engine.end_session("s")
        await engine.close()
        return engine.events

    assert asyncio.run(run()) == ["start", "end wait", "stop"]


def test_a_closed_engine_takes_no_calls_and_opens_again():
    async def run():
        engine = Notes()
        with pytest.raises(ToolError, match="closed"):
            await engine.call("a", {}, None)
        for _ in range(2):
            await engine.open()
            assert await texts(engine, ("a", "s")) == ["a True"]
            await engine.close()
        return engine.events

    assert asyncio.run(run()) == ["start", "end a", "stop"] * 2
