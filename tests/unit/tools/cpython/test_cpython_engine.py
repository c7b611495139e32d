"""The CPython engine: honest tools of many shapes, sessions, replacement, trusted tools, levels of isolation."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mentor.config import ToolsConfig
from mentor.errors import ConfigError, InputError
from mentor.tools import ToolExecutor, Toolset, build_toolset
from mentor.tools.cpython.pool import WORKER
from mentor.tools.engine import ISOLATION
from mentor.tools.inside.worker import descendants
from mentor.types import CallError, ToolResult
from tests.unit.tools.test_executor import RENDERED, STATEFUL, child_processes, run_calls


def load(tmp_path: Path, source: str, engine: str = "auto", trusted: bool = False) -> Toolset:
    path = tmp_path / "tools.py"
    path.write_text(source)
    return Toolset.from_python(path, engine, trusted)


HONEST = """
from __future__ import annotations
import asyncio, bisect, collections, contextlib, datetime, decimal, enum, fractions, functools, heapq, io, itertools
import json, math, operator, random, re, statistics, string, textwrap, threading, unicodedata, uuid
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Optional, Protocol, TypedDict

class Shape(ABC):
    @property
    @abstractmethod
    def area(self): ...

class Square(Shape):
    def __init__(self, side): self.side = side
    @property
    def area(self): return self.side ** 2
    @staticmethod
    def unit(): return Square(1)
    @classmethod
    def of(cls, side): return cls(side)

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

class NotFound(KeyError):
    pass

@dataclass(order=True)
class Item:
    price: float
    name: str = "item"
    tags: list = field(default_factory=list)

class Point(NamedTuple):
    x: int
    y: int

stock = collections.OrderedDict()

def inheritance(side: float) -> float:
    return Square.of(side).area + Square.unit().area

def generator(n: int) -> list:
    def count():
        for i in range(n):
            yield i * i
    return list(count())

def dataclass_sorted(prices: list[float]) -> str:
    return str(min(Item(price) for price in prices))

def median(numbers: list[float]) -> float:
    return statistics.median(numbers)

def smallest(numbers: list[float], n: int = 2) -> list:
    return heapq.nsmallest(n, numbers)

async def awaited(n: int) -> list:
    async def half(x):
        await asyncio.sleep(0.001)
        return x / 2
    return await asyncio.gather(*(half(i) for i in range(n)))

async def streamed(n: int) -> list:
    async def count():
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    return [i async for i in count()]

def closure(n: int) -> int:
    total = 0
    def add(k):
        nonlocal total
        total += k
    for i in range(n): add(i)
    return total

def colour(name: Literal["RED", "BLUE"]) -> str:
    return Colour[name].name

def fibonacci(n: int) -> int:
    @functools.cache
    def f(k): return k if k < 2 else f(k - 1) + f(k - 2)
    return f(n)

def recursion(n: int) -> int:
    return 0 if n == 0 else 1 + recursion(n - 1)

def regex(text: str) -> str:
    return re.sub(r"\\d+", lambda match: str(int(match[0]) + 1), text)

def weekday(year: int, month: int, day: int) -> str:
    return datetime.date(year, month, day).strftime("%A")

def exact(a: str, b: str) -> decimal.Decimal:
    return decimal.Decimal(a) + decimal.Decimal(b)

def fraction(a: int, b: int) -> str:
    return str(fractions.Fraction(a, b))

def unique(words: list[str]) -> list:
    return sorted(set(words))

def nested(n: int) -> dict:
    return {"point": Point(1, 2), "rows": [{"n": i, "ok": i % 2 == 0} for i in range(n)], "none": None}

def defaults(a: int, b: int = 2, *, c: int = 3) -> list:
    return [a, b, c]

def optional(a: Optional[int] = None) -> str:
    return "nothing" if a is None else f"got {a}"

def buy(name: str, n: int = 1) -> dict:
    stock[name] = stock.get(name, 0) + n
    return stock

def from_json(text: str) -> Any:
    return json.loads(text)

def unicode(text: str) -> str:
    return unicodedata.normalize("NFC", text).upper() + " ✓ 数"

def missing(name: str) -> str:
    raise NotFound(name)

def matched(value: list[int]) -> str:
    match value:
        case [x, *rest] if rest: return f"{x} and {len(rest)}"
        case [x]: return f"only {x}"
        case _: return "nothing"

def captured() -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print("hello")
    return out.getvalue().strip()

def threads(n: int) -> int:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(abs, range(n)))

def wrapped(text: str) -> str:
    return textwrap.shorten(text, 10, placeholder="…")

def seeded(seed: int) -> bool:
    return random.Random(seed).random() == random.Random(seed).random()

def zone(name: str) -> str:
    from zoneinfo import ZoneInfo
    return datetime.datetime(2024, 7, 1, tzinfo=ZoneInfo(name)).strftime("%z")
"""

CALLS = [
    ("inheritance", {"side": 3}, "10"),
    ("generator", {"n": 4}, "[0, 1, 4, 9]"),
    ("dataclass_sorted", {"prices": [2.5, 1.5]}, "Item(price=1.5, name='item', tags=[])"),
    ("median", {"numbers": [3, 1, 2]}, "2"),
    ("smallest", {"numbers": [3, 1, 2]}, "[1, 2]"),
    ("awaited", {"n": 3}, "[0, 0.5, 1]"),
    ("streamed", {"n": 3}, "[0, 1, 2]"),
    ("closure", {"n": 5}, "10"),
    ("colour", {"name": "BLUE"}, "BLUE"),
    ("fibonacci", {"n": 50}, "12586269025"),
    ("recursion", {"n": 500}, "500"),
    ("regex", {"text": "a1 b22"}, "a2 b23"),
    ("weekday", {"year": 2024, "month": 2, "day": 29}, "Thursday"),
    ("exact", {"a": "0.1", "b": "0.2"}, "0.3"),
    ("fraction", {"a": 6, "b": 4}, "3/2"),
    ("unique", {"words": ["b", "a", "b"]}, '["a", "b"]'),
    ("nested", {"n": 1}, '{"point": [1, 2], "rows": [{"n": 0, "ok": true}], "none": null}'),
    ("defaults", {"a": 1, "c": 5}, "[1, 2, 5]"),
    ("optional", {}, "nothing"),
    ("optional", {"a": None}, "nothing"),
    ("optional", {"a": 4}, "got 4"),
    ("buy", {"name": "tea"}, '{"tea": 1}'),
    ("buy", {"name": "tea", "n": 2}, '{"tea": 3}'),
    ("from_json", {"text": '{"a": [1, null]}'}, '{"a": [1, null]}'),
    ("unicode", {"text": "e\u0301"}, "É ✓ 数"),
    ("missing", {"name": "x"}, '{"error": "exception", "message": "NotFound: \'x\'"}'),
    ("matched", {"value": [1, 2, 3]}, "1 and 2"),
    ("captured", {}, "hello"),
    ("threads", {"n": 10}, "45"),
    ("wrapped", {"text": "one two three"}, "one two…"),
    ("seeded", {"seed": 7}, "True"),
    ("zone", {"name": "Asia/Seoul"}, "+0900"),
]


@pytest.mark.parametrize("trusted", [False, True])
def test_honest_tools_of_many_shapes(tmp_path, trusted):
    toolset = load(tmp_path, HONEST, trusted=trusted)
    assert toolset.engine == "cpython"
    results = run_calls(toolset, [(name, arguments, "one") for name, arguments, _ in CALLS], timeout_s=10)
    assert [result.text for result in results] == [text for _, _, text in CALLS]


def test_numbers_of_packages_are_shown(tmp_path):
    pytest.importorskip("numpy")
    toolset = load(
        tmp_path,
        "import numpy as np\ndef mean(xs: list[float]) -> float:\n    return np.mean(xs)\n\n"
        "def product(a: list[float], b: list[float]) -> list:\n    return np.dot(a, b).tolist()\n\n"
        "def big(n: int) -> float:\n    return np.ones(n).sum()\n",
    )
    calls = [("mean", {"xs": [1, 2]}), ("product", {"a": [1, 2], "b": [3, 4]}), ("big", {"n": 10**9})]
    mean, product, big = run_calls(toolset, calls, timeout_s=10)
    assert (mean.text, product.text, big.error) == ("1.5", "11", CallError.MEMORY)


def test_results_are_shown_as_monty_shows_them(tmp_path):
    cases = "\n".join(f"    if case == {number}: return {value}" for number, (value, _) in enumerate(RENDERED))
    source = f"""
import datetime
from decimal import Decimal

def str(value: int) -> int:
    return value

def show(case: int):
    deep, wide, cycle = [], [1], []
    for _ in range(100000): deep = [deep]
    for _ in range(100): wide = [wide, wide]
    cycle.append(cycle)
{cases}
"""
    toolset = load(tmp_path, source, "cpython")
    calls = [("show", {"case": n}, "s") for n in range(len(RENDERED))]
    results = run_calls(toolset, calls, max_output_chars=50, memory_mib=256)
    assert [(result.text, result.ok) for result in results] == [(text, True) for _, text in RENDERED]


def test_arguments_a_worker_cannot_be_passed():
    lone, deep = "\ud800", []
    for _ in range(100_000):
        deep = [deep]
    schema = [{"name": "echo", "parameters": {"type": "object", "properties": {"v": {}}}}]
    echo = Toolset.from_row("def echo(v): return v", schema, engine="cpython")
    values = [lone, deep, 10**5000, 1, float("inf")]
    results = run_calls(echo, [("echo", {"v": value}, "s") for value in values])
    assert [result.error for result in results[:3]] == [CallError.INVALID_ARGUMENTS] * 3
    assert [result.text for result in results[3:]] == ["1", "inf"]


def test_state_stays_within_its_session(tmp_path):
    toolset = load(tmp_path, STATEFUL, "cpython")
    calls = [("tick", {"tag": tag}, session) for tag, session in ("a1", "b1", "c2", "d ", "e ", "f1")]
    texts = [result.text for result in run_calls(toolset, [(n, a, s.strip() or None) for n, a, s in calls])]
    assert texts == ['[1, ["a"]]', '[2, ["a", "b"]]', '[1, ["c"]]', '[1, ["d"]]', '[1, ["e"]]', '[3, ["a", "b", "f"]]']


def test_a_killed_session_starts_anew_and_says_so(tmp_path):
    source = "n = 0\ndef count() -> int:\n    global n\n    n += 1\n    return n\n"
    source += "\ndef spin() -> int:\n    while True: pass\n"
    calls = [("count", {}, "s"), ("spin", {}, "s"), ("count", {}, "s"), ("spin", {}, None)]
    first, killed, after, alone = run_calls(load(tmp_path, source, "cpython"), calls, timeout_s=0.3)
    assert (first.text, after.text) == ("1", "1")
    assert killed.error is alone.error is CallError.TIMEOUT
    assert "what the session's calls left behind is lost" in killed.text
    assert "lost" not in alone.text


def test_a_slow_call_does_not_delay_others(tmp_path):
    source = "def slow() -> int:\n    while True: pass\n\nasync def quick(n: int) -> int:\n    return n + 1\n"

    async def run():
        async with ToolExecutor(load(tmp_path, source, "cpython"), timeout_s=1.5, workers=2) as executor:
            slow = asyncio.create_task(executor.call("slow", {}, "slow"))
            await asyncio.sleep(0.05)
            results = await asyncio.gather(*[executor.call("quick", {"n": n}, f"s{n}") for n in range(20)])
            return [result.text for result in results], slow.done(), await slow

    texts, slow_done, slow = asyncio.run(run())
    assert texts == [str(n + 1) for n in range(20)]
    assert not slow_done
    assert slow.error is CallError.TIMEOUT and 1.4 < slow.seconds < 2.0


def test_the_template_is_replaced_when_it_dies(tmp_path):
    async def run():
        async with ToolExecutor(load(tmp_path, STATEFUL, "cpython"), workers=1) as executor:
            before = await executor.call("tick", {"tag": "a"}, "s")
            template = executor._engine.pool._template
            (spare,) = executor._engine.pool._waiting
            template.kill()
            template.wait()
            while spare.silent:  # until it has died with its template
                await asyncio.sleep(0.01)
            return before, [await executor.call("tick", {"tag": "b"}, name) for name in ("t", "u", "v")]

    before, after = asyncio.run(run())
    assert before.text == '[1, ["a"]]'
    assert [result.text for result in after] == ['[1, ["b"]]'] * 3


def test_no_process_outlives_the_executor(tmp_path, own_worker):
    source = "def pause(s: float) -> int:\n    import time; time.sleep(s)\n    return 1\n"

    async def run():
        async with ToolExecutor(load(tmp_path, source, "cpython"), workers=2) as executor:
            await asyncio.gather(*[executor.call("pause", {"s": 0.01}, f"s{n}") for n in range(8)])
            during = child_processes() - before
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(executor.call("pause", {"s": 1}, "s1"), 0.1)
            return during

    before = child_processes()
    during = asyncio.run(run())
    assert len(during) == 1  # the template's starter; all else is below it
    assert not during & child_processes()
    assert running(own_worker) == []


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("import absent_module", 1, "ModuleNotFoundError"),
        ("class A(int): pass\nX = 1 / 0", 2, "ZeroDivisionError"),
        ("class A(int): pass\ndef _g():\n    import absent_module", 3, "ModuleNotFoundError"),
        ("class A(int): pass\ndef _g():\n    return missing_name", 3, "NameError"),
        ("import statistics\ndef _g():\n    return statistics.no_such", 3, "AttributeError"),
        ("class A(int): pass\nreturn 1", 2, "'return' outside function"),
        ("class A(int): pass\nTEXT = open('/etc/passwd').read()", 2, "denied|No such file"),
    ],
)
def test_source_no_engine_can_run_is_refused_with_its_line(tmp_path, source, line, reason):
    with pytest.raises(InputError, match=rf"tools\.py:{line}: .*cannot run `.*({reason})"):
        load(tmp_path, f"{source}\n\ndef tool(a: int) -> int:\n    return a\n")


def test_the_engine_is_chosen_once_and_said(tmp_path):
    plain = "def f(a: int) -> int:\n    return a\n"
    more = "class A(ValueError):\n    pass\n\n" + plain
    assert [load(tmp_path, plain, engine).engine for engine in ("auto", "monty", "cpython")] == [
        "cpython",
        "monty",
        "cpython",
    ]
    chosen = load(tmp_path, more, "cpython")
    assert chosen.note == "as tools.engine says" and chosen.note in ToolExecutor(chosen).summary
    with pytest.raises(InputError, match="the sandbox cannot run"):
        load(tmp_path, more, "monty")
    with pytest.raises(ConfigError, match=r"tools\.engine=jython is not accepted: auto, monty, cpython"):
        load(tmp_path, plain, "jython")
    with pytest.raises(ConfigError, match="exclude each other"):
        load(tmp_path, plain, "monty", trusted=True)
    with pytest.raises(ConfigError, match=r"tools\.trusted=True is read with tools=file"):
        build_toolset("calculator", trusted=True)
    calculator = build_toolset("calculator", engine="cpython")
    assert run_calls(calculator, [("add", {"a": 1, "b": 2})])[0].text == "3"


def open_and_close(toolset: Toolset, **settings) -> ToolExecutor:
    async def run():
        async with ToolExecutor(toolset, **settings) as executor:
            assert (await executor.call("f", {"a": 1})).text == "1"
            return executor

    return asyncio.run(run())


def test_isolation_is_told_and_its_floor_is_kept(tmp_path):
    source = "def f(a: int) -> int:\n    return a\n"
    monty, cpython = load(tmp_path, source, "monty"), load(tmp_path, source, "cpython")
    assert open_and_close(monty, isolation_floor="interpreter").isolation == "interpreter"
    opened = open_and_close(cpython, isolation_floor="process")
    assert opened.isolation in ISOLATION and f"isolation: {opened.isolation}" in opened.summary
    remedy = r"tools\.engine=monty \(an interpreter for a part of Python\) or tools\.trusted=true"
    told = r"^tools\.isolation_floor=interpreter is not met: this host gives at most namespaces \(of CPython workers\)"
    with pytest.raises(ConfigError, match=f"{told}; go on with {remedy}"):
        open_and_close(cpython, isolation_floor="interpreter")
    with pytest.raises(ConfigError, match=r"tools\.isolation_floor=jail is not accepted: process, rlimits"):
        ToolExecutor(cpython, isolation_floor="jail")
    trusted = load(tmp_path, source, trusted=True)
    assert open_and_close(trusted, isolation_floor="namespaces").isolation == "process"
    field = ToolsConfig.__dataclass_fields__["isolation_floor"]
    assert field.metadata["choices"] == ISOLATION


# A host that gives less: a filter that refuses some system calls before the executor is opened.
LESS = """
import asyncio, ctypes, struct, sys
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.engine import Limits
refused = {"namespaces": [272, 97], "landlock": [444], "seccomp": [317, 277]}
libc = ctypes.CDLL(None, use_errno=True)
lines = [(0x20, 0, 0, 0)]
for name in sys.argv[3:]:
    for number in refused[name]:
        lines += [(0x15, 0, 1, number), (6, 0, 0, 0x50001)]
if "seccomp" in sys.argv[3:]:  # prctl(PR_SET_SECCOMP)
    number = 157 if __import__("platform").machine() == "x86_64" else 167
    body = [(0x20, 0, 0, 16), (0x15, 0, 1, 22), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
    lines += [(0x15, 0, len(body), number), *body]
lines += [(6, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("<HBBI", *line) for line in lines)
buffer = ctypes.create_string_buffer(code, len(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(struct.pack("@HP", len(lines), ctypes.addressof(buffer))), 0, 0) == 0

async def run():
    toolset = Toolset.from_python(sys.argv[1], limits=Limits(isolation_floor=sys.argv[2]))
    async with ToolExecutor(toolset, timeout_s=0.5, isolation_floor=sys.argv[2]) as executor:
        print(executor.isolation, (await executor.call("f", {"a": 1})).text, flush=True)
        print((await executor.call("bomb", {})).error)
        print((await executor.call("f", {"a": 2})).text)
asyncio.run(run())
"""
BOMB = """
import os, time

def f(a: int) -> int:
    return a

def bomb() -> str:
    for _ in range(6):
        os.fork()
    while True: time.sleep(1)
"""


def with_less(tmp_path: Path, floor: str, *refused: str) -> subprocess.CompletedProcess:
    (tmp_path / "tools.py").write_text(BOMB)
    command = [sys.executable, "-c", LESS, str(tmp_path / "tools.py"), floor, *refused]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("refused", "level", "bomb"),
    [
        pytest.param(("namespaces",), "landlock+seccomp", "exception", marks=pytest.mark.slow),
        pytest.param(("namespaces", "landlock"), "rlimits", "exception", marks=pytest.mark.slow),
        (("namespaces", "landlock", "seccomp"), "rlimits", "timeout"),
    ],
)
def test_a_host_that_gives_less_is_said_to_and_served_only_above_the_floor(tmp_path, refused, level, bomb):
    served = with_less(tmp_path, level, *refused)
    assert served.stdout.splitlines() == [f"{level} 1", bomb, "2"], served.stderr[-500:]
    failed = with_less(tmp_path, "namespaces", *refused)
    assert failed.returncode != 0
    assert f"tools.isolation_floor=namespaces is not met: this host gives {level} (" in failed.stderr
    assert all(f"{name}: " in failed.stderr for name in refused)


TRUSTED = """
import os, subprocess, sys, time
import helper

def f(a: int) -> int:
    return a

def reach(path: str, port: int) -> list:
    import urllib.error, urllib.request
    import socket
    socket.create_connection(("127.0.0.1", port)).close()
    return [open(path).read(), os.environ["MENTOR_SECRET"], os.popen("echo hi").read(), helper.N]

def spin() -> int:
    while True: pass

def memory() -> int:
    return len(bytearray(10**10))

def bomb(mark: str) -> int:
    sys.argv[:] = [mark]
    while True:
        os.fork()

def daemons(mark: str) -> int:
    for _ in range(8):
        if os.fork() == 0:
            os.setsid()
            if os.fork():
                os._exit(0)
            os.execvp("sh", ["sh", "-c", "sleep 60; true " + mark])
    while True: time.sleep(1)

def leave_a_daemon(mark: str) -> str:
    subprocess.Popen(["sh", "-c", "sleep 60; true " + mark], start_new_session=True)
    return "left"
"""


@pytest.fixture
def own_worker(tmp_path, monkeypatch) -> str:
    """The path of a worker program that no other test's executors start."""
    folder = tmp_path / "worker"
    folder.mkdir()
    for name in ("worker.py", "confine.py", "driver.py", "hints.py"):
        shutil.copy(WORKER.with_name(name), folder)
    monkeypatch.setattr("mentor.tools.cpython.pool.WORKER", folder / "worker.py")
    return str(folder / "worker.py")


def running(mark: str) -> list[str]:
    """Other processes with the word on their command line; forks of a worker have the worker program there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in command:
                found.append(command)
    return found


def trusted_toolset(tmp_path: Path) -> Toolset:
    (tmp_path / "helper.py").write_text("N = 42\n")
    return load(tmp_path, TRUSTED, trusted=True)


def test_trusted_tools_reach_what_their_user_does(tmp_path, monkeypatch):
    monkeypatch.setenv("MENTOR_SECRET", "from the environment")
    (tmp_path / "file").write_text("from a file")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = {"path": str(tmp_path / "file"), "port": server.getsockname()[1]}
        toolset = trusted_toolset(tmp_path)
        result = run_calls(toolset, [("reach", arguments)], timeout_s=10)[0]
        assert result.text == '["from a file", "from the environment", "hi\\n", 42]'
        assert "trusted: no sandbox" in ToolExecutor(toolset).summary
        sandboxed = replace(toolset, trusted=False, source=TRUSTED.replace("import helper", ""))
        assert run_calls(sandboxed, [("reach", arguments)])[0].error is CallError.EXCEPTION


def test_trusted_tools_keep_the_limits(tmp_path):
    calls = [("spin", {}, "s"), ("f", {"a": 1}, "s"), ("memory", {}, "s"), ("f", {"a": 2}, "s")]
    spin, one, memory, two = run_calls(trusted_toolset(tmp_path), calls, timeout_s=0.5)
    assert (spin.error, memory.error) == (CallError.TIMEOUT, CallError.MEMORY)
    assert (one.text, two.text) == ("1", "2")


@pytest.mark.parametrize("tool", ["bomb", "daemons", "leave_a_daemon"])
def test_all_that_a_trusted_tool_started_is_ended(tmp_path, own_worker, tool):
    mark = f"mentor-mark-{os.getpid()}-{tool}"
    before = processes()
    begun = time.perf_counter()
    calls: list[tuple] = [(tool, {"mark": mark}, None), ("f", {"a": 1}, None)]
    result, after = run_calls(trusted_toolset(tmp_path), calls, timeout_s=0.3)
    assert time.perf_counter() - begun < 15
    assert result.error is (None if tool == "leave_a_daemon" else CallError.TIMEOUT)
    assert after == ToolResult("1", True, None, after.seconds)
    assert running(mark) == running(own_worker) == []
    assert processes() - before == set()


def processes() -> set[int]:
    """Processes that descend from this one."""
    return descendants(os.getpid())


def test_a_source_that_loads_no_longer_is_refused_when_the_executor_opens(tmp_path):
    toolset = replace(load(tmp_path, "def f(a: int) -> int:\n    return a\n", "cpython"), source="X = 1 / 0\n")
    with pytest.raises(InputError, match=r"tools\.py:1: the sandbox cannot run `X = 1 / 0`: ZeroDivisionError"):
        open_and_close(toolset)


@pytest.mark.parametrize("engine", ["monty", "cpython"])
def test_an_executor_opens_again(tmp_path, engine):
    async def run():
        executor = ToolExecutor(load(tmp_path, STATEFUL, engine))
        texts = []
        for _ in range(2):
            async with executor:
                texts.append((await executor.call("tick", {"tag": "a"}, "s")).text)
        return texts

    assert asyncio.run(run()) == ['[1, ["a"]]'] * 2


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.cpython import pool
pool.WORKER = Path(sys.argv[3])

async def run():
    toolset = Toolset.from_python(sys.argv[1], "cpython", sys.argv[2] == "trusted")
    async with ToolExecutor(toolset, timeout_s=60) as executor:
        asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGKILL)
        await executor.call("spin", {})
asyncio.run(run())
"""


@pytest.mark.parametrize("trusted", ["sandboxed", "trusted"])
def test_no_worker_outlives_a_killed_program(tmp_path, own_worker, trusted):
    (tmp_path / "tools.py").write_text("def spin() -> int:\n    while True: pass\n")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "tools.py"), trusted, own_worker]
    assert subprocess.run(command, timeout=60, stderr=subprocess.DEVNULL).returncode == -9
    deadline = time.perf_counter() + 5
    while running(own_worker) and time.perf_counter() < deadline:
        time.sleep(0.05)
    assert running(own_worker) == []
