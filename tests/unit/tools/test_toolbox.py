"""Which tools a task has: the run's, or its own; and how many executors stay open."""

import asyncio
import json

import pytest

from mentor.errors import InputError
from mentor.tools import Toolbox, Toolset
from mentor.tools.toolbox import MAX_IDLE
from mentor.types import NO_TOOLS, Task, TaskTools

PARAMETERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SCHEMA = {"type": "function", "function": {"name": "plus", "description": "", "parameters": PARAMETERS}}


def task(number: int | None) -> Task:
    own = None if number is None else TaskTools(f"def plus(n):\n    return n + {number}\n", [SCHEMA])
    return Task(f"t{number}", "q", ("1",), "", tools=own)


async def call(toolbox: Toolbox, of: Task, name: str, **arguments) -> str:
    async with toolbox.lease(of) as executor:
        return (await executor.call(name, arguments)).text


def test_a_task_has_its_own_tools_or_those_of_the_run():
    async def run() -> list[str]:
        async with Toolbox(Toolset.builtin("calculator")) as toolbox:
            own = [call(toolbox, task(number), "plus", n=1) for number in (10, 20, 10)]
            return await asyncio.gather(*own, call(toolbox, task(None), "add", a=1, b=2))

    assert asyncio.run(run()) == ["11", "21", "11", "3"]


def test_tools_that_are_missing_or_have_no_code_are_refused_by_task():
    toolbox = Toolbox(None)
    with pytest.raises(InputError, match="task tNone has no tools of its own"):
        toolbox.toolset(task(None))
    with pytest.raises(InputError, match="task t: its tools have schemas but no code"):
        toolbox.toolset(Task("t", "q", ("1",), "", tools=TaskTools(None, [SCHEMA])))


def test_toolsets_open_at_once_and_one_that_does_not_load_holds_up_no_other():
    source = (
        "import time\ntime.sleep(0.5)\nbegun = time.monotonic() - 0.5\ndef plus(n): return [begun, time.monotonic()]\n"
    )
    slow = [Task(f"s{k}", "q", ("1",), "", tools=TaskTools(f"{source}#{k}", [SCHEMA])) for k in range(2)]
    broken = Task("b", "q", ("1",), "", tools=TaskTools("1 / 0\ndef plus(n): return n\n", [SCHEMA]))

    async def run() -> list:
        async with Toolbox(None) as toolbox:
            wanted = [call(toolbox, of, "plus", n=1) for of in (*slow, broken, task(1))]
            return await asyncio.gather(*wanted, return_exceptions=True)

    first, second, refused, fine = asyncio.run(run())
    assert json.loads(second)[0] < json.loads(first)[1] and fine == "2"
    assert isinstance(refused, InputError) and "task b env:1: the sandbox cannot run `1 / 0`" in str(refused)


def test_a_task_that_brings_schemas_alone_has_the_tools_of_the_run_by_name():
    toolbox = Toolbox(Toolset.builtin("calculator"))
    add = {"type": "function", "function": {"name": "add", "description": "", "parameters": {"type": "object"}}}
    own = Task("t", "q", ("1",), "", tools=TaskTools(None, [add]))
    other = Task("u", "q", ("1",), "", tools=TaskTools(None, [add, SCHEMA]))
    assert toolbox.serves(own) and toolbox.toolset(own).names == ("add",) and toolbox.toolset(own).source
    assert not toolbox.serves(other) and toolbox.serves(Task("v", "q", (), "", tools=NO_TOOLS))
    assert toolbox.serves(task(None)) and not Toolbox(None).serves(task(None))
    with pytest.raises(InputError, match="no code, so no call of them can run: add, plus; accepted: tools=file"):
        toolbox.toolset(other)


def test_executors_are_closed_once_many_are_idle_but_never_while_leased():
    async def run() -> tuple[int, str, str]:
        async with Toolbox(Toolset.builtin("calculator")) as toolbox:
            async with toolbox.lease(task(0)) as executor:
                for number in range(1, MAX_IDLE + 3):
                    await call(toolbox, task(number), "plus", n=1)
                held = (await executor.call("plus", {"n": 1})).text
            return len(toolbox._open), held, await call(toolbox, task(1), "plus", n=1)

    assert asyncio.run(run()) == (MAX_IDLE + 1, "1", "2")
