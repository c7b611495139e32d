"""The monty engine: sessions of tools with state, and none for tools without."""

import asyncio

from mentor.tools.engine import Limits
from mentor.tools.monty.monty_engine import MontyEngine
from mentor.tools.source import Source

TEXT = "seen = []\ndef note(x):\n    seen.append(x)\n    return seen\n"


def texts(stateless: bool, *calls):
    async def run():
        engine = MontyEngine(Source("notes", TEXT, ("note",), stateless=stateless), Limits(workers=1))
        await engine.open()
        try:
            found = [(await engine.call("note", {"x": x}, session)).text for x, session in calls]
            await engine.end_session("a")
            return [*found, (await engine.call("note", {"x": 9}, "a")).text]
        finally:
            await engine.close()

    return asyncio.run(run())


def test_a_session_starts_from_the_source_as_loaded():
    calls = (1, "a"), (2, "a"), (3, "b"), (4, None)
    assert texts(False, *calls) == ["[1]", "[1, 2]", "[3]", "[4]", "[9]"]


def test_tools_that_claim_to_keep_no_state_share_a_process():
    assert texts(True, (1, "a"), (2, "b"), (3, None)) == ["[1]", "[1, 2]", "[1, 2, 3]", "[1, 2, 3, 9]"]


def test_isolation_is_the_highest():
    assert MontyEngine.isolation == "interpreter"
