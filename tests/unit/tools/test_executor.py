"""Calls in the sandbox: rendering, limits, concurrency, isolation. Real workers, no mocks."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from mentor.errors import ConfigError, ToolError
from mentor.tools import ToolExecutor, Toolset, build_toolset, error_text
from mentor.types import CallError, ToolResult


def run_calls(toolset: Toolset, calls: list[tuple], **settings) -> list[ToolResult]:
    """Results of (name, arguments, session) in order, in one executor."""

    async def run():
        async with ToolExecutor(toolset, **settings) as executor:
            return [await executor.call(*call) for call in calls]

    return asyncio.run(run())


def load(tmp_path: Path, source: str) -> Toolset:
    path = tmp_path / "tools.py"
    path.write_text(source)
    return Toolset.from_python(path, "monty")


def child_processes() -> set[str]:
    """Of all threads of this process; one that ends meanwhile has no children any more."""
    found: set[str] = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError):
            found |= set((task / "children").read_text().split())
    return found


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("add", {"a": 2, "b": 3}, "5"),
        ("add", {"a": 0.1, "b": 0.2}, "0.3"),
        ("add", {"a": float("inf"), "b": 1}, "inf"),
        ("add", {"a": float("nan"), "b": 1}, "nan"),
        ("subtract", {"a": 5, "b": 5}, "0"),
        ("multiply", {"a": 12345678901234567890, "b": 10}, "123456789012345678900"),
        ("divide", {"a": 48, "b": 2}, "24"),
        ("divide", {"a": 1, "b": 3}, "0.333333333333"),
        ("modulo", {"a": -7, "b": 3}, "2"),
        ("power", {"base": 2, "exponent": -1}, "0.5"),
        ("sum_numbers", {"numbers": [1, 2.5, 3]}, "6.5"),
        ("sum_numbers", {"numbers": []}, "0"),
        ("floor", {"x": -2.5}, "-3"),
        ("ceil", {"x": 2.1}, "3"),
        ("round_number", {"x": 2.71828, "digits": 3}, "2.718"),
        ("round_number", {"x": 2.71828}, "3"),
        ("round_number", {"x": 2.71828, "digits": 2.0}, "2.72"),
        ("sqrt", {"x": 16}, "4"),
        ("abs_value", {"x": -3}, "3"),
    ],
)
def test_calculator(name, arguments, text):
    assert run_calls(build_toolset("calculator"), [(name, arguments)])[0].text == text


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "message"),
    [
        ("divide", {"a": 1, "b": 0}, CallError.EXCEPTION, "ZeroDivisionError: division by zero"),
        ("sqrt", {"x": -1}, CallError.EXCEPTION, "ValueError: expected a nonnegative input, got -1.0"),
        (
            "power",
            {"base": -8, "exponent": 0.5},
            CallError.EXCEPTION,
            "ValueError: a negative base needs a whole exponent",
        ),
        ("power", {"base": 10, "exponent": 10**9}, CallError.MEMORY, "needs more than 64 MiB"),
        ("add", {"a": 1}, CallError.INVALID_ARGUMENTS, "missing required argument 'b'"),
        ("add", {"a": True, "b": 1}, CallError.INVALID_ARGUMENTS, "argument 'a' must be number, got boolean"),
        (
            "add",
            {"a": 1, "b": 1, "a=1)#": 1},
            CallError.INVALID_ARGUMENTS,
            "unexpected argument 'a=1)#', accepted: a, b",
        ),
        ("add", None, CallError.INVALID_ARGUMENTS, "arguments must be object, got null"),
        ("add); import os", {}, CallError.UNKNOWN_TOOL, "no tool named 'add); import os', known: add, "),
        ("_mentor_call", {}, CallError.UNKNOWN_TOOL, "no tool named '_mentor_call'"),
        ("math", {}, CallError.UNKNOWN_TOOL, "no tool named 'math'"),
        ("", {}, CallError.UNKNOWN_TOOL, "no tool named ''"),
    ],
)
def test_errors_are_one_line_of_json(name, arguments, kind, message):
    failed, after = run_calls(build_toolset("calculator"), [(name, arguments), ("add", {"a": 1, "b": 1})])
    shown = json.loads(failed.text)
    assert (failed.ok, failed.error, shown["error"]) == (False, kind, kind.value)
    assert shown["message"].startswith(message)
    assert "\n" not in failed.text
    assert after == ToolResult("2", True, None, after.seconds)


def test_error_text_is_short_and_one_line():
    assert error_text(CallError.MALFORMED, "no\nJSON") == '{"error": "malformed", "message": "no JSON"}'
    assert len(error_text(CallError.CRASH, "x" * 10**6)) < 400


RENDERED = [
    ("0", "0"),
    ("False", "False"),
    ("True", "True"),
    ("None", "None"),
    ("''", '""'),
    ("' a\\n'", " a\n"),
    ("-0.0", "0"),
    ("float('-inf')", "-inf"),
    ("24.0", "24"),
    ("123456789012345.0", "123456789012345"),
    ("1e15", "1000000000000000.0"),
    ("1e300", "1e+300"),
    ("5e-324", "5e-324"),
    ("2.9999999999999996", "2.9999999999999996"),
    ("1234567.891234567", "1234567.891234567"),
    ("0.1 + 0.2", "0.30000000000000004"),
    ("10**30", "1" + "0" * 30),
    ("-10**6000", "[integer of about 6001 digits]"),
    ("{}", "{}"),
    ("[]", "[]"),
    ("{'a': [1, 2.0, None, True, 'x\"', float('inf')], 3: (4,)}", '{"a": [1, 2, null, true, "x\\"", inf], "3": [4]}'),
    ("{7}", "[7]"),
    ("datetime.date(2024, 1, 2)", "2024-01-02"),
    ("[datetime.date(2024, 1, 2)]", '["2024-01-02"]'),
    ("Decimal('1.10')", "1.10"),
    ("'x' * 20000000", "x" * 50 + " ...[cut, 20000000 characters]"),
    ("10**4000", "1" + "0" * 49 + " ...[cut, 4001 characters]"),
    ("list(range(10**5))", "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14," + " ...[cut, more than 50 characters]"),
    ("['x' * 10**6]", '["' + "x" * 48 + " ...[cut, more than 50 characters]"),
    ("deep", "[" * 50 + " ...[cut, more than 50 characters]"),
    ("wide", "[" * 50 + " ...[cut, more than 50 characters]"),
    ("cycle", "[" * 50 + " ...[cut, more than 50 characters]"),
]


def test_every_result_is_shown_and_nothing_blows_up(tmp_path):
    cases = "\n".join(f"    if case == {number}: return {value}" for number, (value, _) in enumerate(RENDERED))
    toolset = load(
        tmp_path,
        f"""
import datetime
from decimal import Decimal

def str(value: int) -> int:
    return value

def isinstance(value: int) -> int:
    return value

def show(case: int):
    deep, wide, cycle = [], [1], []
    for _ in range(100000): deep = [deep]
    for _ in range(100): wide = [wide, wide]
    cycle.append(cycle)
{cases}
""",
    )
    results = run_calls(toolset, [("show", {"case": n}) for n in range(len(RENDERED))], max_output_chars=50)
    assert [(result.text, result.ok) for result in results] == [(text, True) for _, text in RENDERED]


ATTACKS = {
    "while True: pass": CallError.TIMEOUT,
    "try:\n        while True: pass\n    except BaseException: return 1": CallError.TIMEOUT,
    "x = [0] * 10**10": CallError.MEMORY,
    "x = 'a'\n    while True: x += x": CallError.MEMORY,
    "return 10**10**9": CallError.MEMORY,
    "return attack(kind)": CallError.CRASH,
    "import time; time.sleep(5)": CallError.TIMEOUT,
    "return open('/etc/passwd').read()": CallError.EXCEPTION,
    "open('out', 'w').write('x')": CallError.EXCEPTION,
    "exec('import socket')": CallError.EXCEPTION,
    "exec('import os; os.system(1)')": CallError.EXCEPTION,
    "from pathlib import Path; return Path('/').iterdir()": CallError.EXCEPTION,
    "return ().__class__.__base__.__subclasses__()": CallError.EXCEPTION,
    "while True: print('x' * 1000)": CallError.TIMEOUT,
    "raise KeyboardInterrupt('x')": CallError.EXCEPTION,
    "raise TimeoutError('x')": CallError.EXCEPTION,
    "raise MemoryError('x')": CallError.EXCEPTION,
}


def test_limits_end_each_attack_and_the_next_call_is_served(tmp_path):
    for number, (body, kind) in enumerate(ATTACKS.items()):
        source = f"def attack(kind: int = 0) -> str:\n    {body}\n\ndef fine() -> str:\n    return 'fine'\n"
        calls = [("attack", {}, "s"), ("fine", {}, "s"), ("fine", {}, None)]
        limit = 0.3 if kind is CallError.TIMEOUT else 5.0  # the others end by themselves, on a loaded machine later
        failed, same_session, other = run_calls(load(tmp_path, source), calls, timeout_s=limit, workers=1)
        assert failed.error == kind, (number, body, failed)
        assert failed.seconds < limit + 1
        assert (same_session.text, other.text) == ("fine", "fine"), body


def test_a_worker_that_must_be_killed_is_replaced(tmp_path):
    toolset = load(
        tmp_path,
        "n = 0\ndef grow() -> int:\n    x = 3\n    while True: x *= x\n\n"
        "def count() -> int:\n    global n\n    n += 1\n    return n\n",
    )
    calls = [("count", {}, "s"), ("grow", {}, "s"), ("count", {}, "s")]
    first, killed, after = run_calls(toolset, calls, timeout_s=0.3, workers=1)
    assert killed.error in (CallError.TIMEOUT, CallError.MEMORY, CallError.CRASH)
    assert killed.seconds < 2.0
    assert (first.text, after.text) == ("1", "2")  # the state before the killed call is kept


def test_calculator_survives_limits():
    calls = [("power", {"base": 10, "exponent": 10**9}), ("add", {"a": 1, "b": 2})] * 3
    assert [result.ok for result in run_calls(build_toolset("calculator"), calls, workers=1)] == [False, True] * 3


def test_arguments_the_sandbox_cannot_hold():
    lone, deep = "\ud800", []
    for _ in range(100_000):
        deep = [deep]
    echo = Toolset.from_row(
        "def echo(v): return v",
        [{"name": "echo", "parameters": {"type": "object", "properties": {"v": {}}}}],
        engine="monty",
    )
    results = run_calls(echo, [("echo", {"v": lone}), ("echo", {"v": deep}), ("echo", {"v": 1})], max_output_chars=10)
    assert results[0].error is CallError.INVALID_ARGUMENTS
    assert results[1].text == "[" * 10 + " ...[cut, more than 10 characters]"
    assert results[2].text == "1"


STATEFUL = """
count = 0
seen = []

def tick(tag: str) -> list:
    global count
    count += 1
    seen.append(tag)
    return [count, seen]

def fail(tag: str) -> str:
    seen.append(tag)
    raise ValueError("first line\\nsecond line")
"""


def test_state_stays_within_its_session(tmp_path):
    async def run():
        async with ToolExecutor(load(tmp_path, STATEFUL)) as executor:
            texts = [(await executor.call("tick", {"tag": tag}, session)).text for tag, session in calls]
            failed = await executor.call("fail", {"tag": "e"}, "one")
            texts.append((await executor.call("tick", {"tag": "d"}, "one")).text)
            await executor.end_session("one")
            await executor.end_session("never used")
            texts.append((await executor.call("tick", {"tag": "a"}, "one")).text)
            return texts, failed

    calls = [("a", "one"), ("b", "one"), ("c", "two"), ("d", None), ("e", None)]
    texts, failed = asyncio.run(run())
    assert texts == [
        '[1, ["a"]]',
        '[2, ["a", "b"]]',
        '[1, ["c"]]',
        '[1, ["d"]]',
        '[1, ["e"]]',
        '[3, ["a", "b", "e", "d"]]',
        '[1, ["a"]]',
    ]
    assert json.loads(failed.text) == {"error": "exception", "message": "ValueError: first line second line"}


def test_concurrent_calls_of_one_session_keep_their_order(tmp_path):
    async def run():
        async with ToolExecutor(load(tmp_path, STATEFUL)) as executor:
            calls = [executor.call("tick", {"tag": str(n)}, f"s{n % 20}") for n in range(100)]
            return await asyncio.gather(*calls)

    results = asyncio.run(run())
    assert results[99].text == '[5, ["19", "39", "59", "79", "99"]]'


def test_a_slow_call_does_not_delay_others(tmp_path):
    source = "def slow() -> int:\n    while True: pass\n\nasync def quick(n: int) -> int:\n    return n + 1\n"

    async def run():
        async with ToolExecutor(load(tmp_path, source), timeout_s=3.0, workers=2) as executor:
            slow = asyncio.create_task(executor.call("slow", {}, "slow"))
            await asyncio.sleep(0.05)
            results = await asyncio.gather(*[executor.call("quick", {"n": n}, f"s{n}") for n in range(20)])
            return [result.text for result in results], slow.done(), await slow

    texts, slow_done, slow = asyncio.run(run())
    assert texts == [str(n + 1) for n in range(20)]
    assert not slow_done
    assert slow.error is CallError.TIMEOUT
    assert 2.9 < slow.seconds < 4


def test_async_tools_are_awaited(tmp_path):
    source = (
        "import asyncio\nasync def _half(n):\n    return n / 2\n\n"
        "async def both(n: int) -> list:\n    return await asyncio.gather(_half(n), _half(n + 2))\n\n"
        "def forgot(n: int) -> float:\n    return _half(n)\n"
    )
    results = run_calls(load(tmp_path, source), [("both", {"n": 2}), ("forgot", {"n": 3})])
    assert [result.text for result in results] == ["[1, 2]", "1.5"]


def test_a_cancelled_call_leaves_the_executor_usable(tmp_path):
    async def run():
        toolset = Toolset.from_row(
            "def slow():\n    while True: pass\ndef one(): return 1", [{"name": "slow"}, {"name": "one"}]
        )
        async with ToolExecutor(toolset, timeout_s=0.5, workers=1) as executor:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(executor.call("slow", {}), 0.1)
            return await executor.call("one", {})

    assert asyncio.run(run()).text == "1"


def test_no_worker_outlives_the_executor():
    async def run():
        async with ToolExecutor(build_toolset("calculator"), workers=2) as executor:
            await asyncio.gather(*[executor.call("add", {"a": 1, "b": 1}) for _ in range(50)])
            during = child_processes()
        with pytest.raises(ToolError, match="inside `async with`"):
            await executor.call("add", {"a": 1, "b": 1})
        return during

    before = child_processes()
    during = asyncio.run(run()) - before
    deadline = time.perf_counter() + 2
    while during & child_processes() and time.perf_counter() < deadline:
        time.sleep(0.02)
    assert 1 <= len(during) <= 2
    assert not during & child_processes()


def test_a_program_that_called_tools_ends_cleanly():
    source = """
import asyncio
from mentor.tools import ToolExecutor, build_toolset
async def run():
    async with ToolExecutor(build_toolset("calculator")) as executor:
        await asyncio.gather(*[executor.call("add", {"a": n, "b": 1}) for n in range(200)])
asyncio.run(run())
"""
    for _ in range(4):  # the pool's asyncio flavour aborted in every second run
        assert subprocess.run([sys.executable, "-c", source], timeout=60).returncode == 0


def test_a_held_session_is_renewed_before_it_fills_up(monkeypatch):
    monkeypatch.setattr("mentor.tools.monty.sandbox.MAX_HELD_CALLS", 3)
    results = run_calls(build_toolset("calculator"), [("add", {"a": n, "b": 1}) for n in range(20)], workers=1)
    assert [result.text for result in results] == [str(n + 1) for n in range(20)]


def test_thousands_of_calls_a_second():
    async def run():
        async with ToolExecutor(build_toolset("calculator")) as executor:
            start = time.perf_counter()
            for _ in range(30):
                results = await asyncio.gather(*[executor.call("add", {"a": n, "b": 1}) for n in range(64)])
                assert all(result.text == str(n + 1) for n, result in enumerate(results))
            return 30 * 64 / (time.perf_counter() - start)

    assert asyncio.run(run()) > 1000  # about 8,000 on two free cores


def test_limits_are_checked():
    for setting in ("timeout_s", "memory_mib", "workers", "max_output_chars"):
        with pytest.raises(ConfigError, match=f"tools.{setting}=0 is not accepted"):
            ToolExecutor(build_toolset("calculator"), **{setting: 0})


def test_text_arguments_are_read_and_all_is_counted():
    async def run():
        async with ToolExecutor(build_toolset("calculator")) as executor:
            calls = [
                ("add", {"a": "2", "b": 3}),
                ("add", '{"a": "2", "b": 3}'),
                ("round_number", {"x": "2.71828", "digits": "3"}),
                ("sum_numbers", {"numbers": "[1, 2]"}),
                ("add", {"a": "two", "b": "3"}),
                ("divide", {"a": 1, "b": 0}),
                ("none", {}),
            ]
            return [(await executor.call(name, arguments)).text for name, arguments in calls], executor.counts.kinds

    texts, counts = asyncio.run(run())
    assert texts[:4] == ["5", "5", "2.718", "3"]
    assert json.loads(texts[4])["message"] == "argument 'a' must be number, got string"
    assert counts == {
        "coerced_number": 4,
        "coerced_json": 2,
        "invalid_arguments": 1,
        "exception": 1,
        "unknown_tool": 1,
    }


def test_more_sessions_than_live_processes_keep_their_state(tmp_path, monkeypatch):
    monkeypatch.setattr("mentor.tools.monty.sandbox.MAX_LIVE", 2)
    calls = [("tick", {"tag": "x"}, f"s{n % 5}") for n in range(15)]
    results = run_calls(load(tmp_path, STATEFUL), calls)
    assert [result.text[:2] for result in results] == ["[1"] * 5 + ["[2"] * 5 + ["[3"] * 5
