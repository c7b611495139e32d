"""Tools that are shown and not run."""

import asyncio

from mentor.tools import Toolbox, Toolset
from mentor.types import CallError, GoldCalls, Task, TaskTools

SCHEMA = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
TOOLS = TaskTools(None, [{"type": "function", "function": SCHEMA}])


def test_a_call_of_a_task_that_is_judged_by_its_calls_is_not_run():
    async def run():
        task = Task("t", "q", (), "", tools=TOOLS, gold=GoldCalls("relevance"))
        async with Toolbox(None) as toolbox, toolbox.lease(task) as executor:
            return executor.toolset, await executor.call("f", {}), await executor.call("g", {})

    toolset, known, unknown = asyncio.run(run())
    assert toolset.schemas == Toolset.listed(TOOLS.schemas).schemas
    assert [result.error for result in (known, unknown)] == [CallError.NOT_RUN, CallError.UNKNOWN_TOOL]
