"""Which sources keep something between calls; the calls of a turn run at once where none does."""

import ast
import asyncio

import pytest

from mentor.tools import ToolExecutor, Toolset
from mentor.tools.stateless import keeps_state

STATELESS = """
from __future__ import annotations
import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

PRICES = {"apple": 3, "bread": -4.5}
NAMES: list[str] = ["a", "b"]
WORD = re.compile("[a-z]+")
LIMITS = (1, (2, 3))
Size = Literal["small", "large"]

@dataclass
class Item:
    name: str
    tags: list = field(default_factory=list)
    def rename(self, name): self.name = name

@lru_cache
def _cached(n): return n * 2

async def price(item: str, size: Size = "small", n: int = LIMITS) -> float:
    total = [0]
    total[0] += PRICES[item] + PRICES.get(item, 0) + len(NAMES) + sum(x for x in PRICES.values())
    for name in NAMES:
        if name in PRICES: total.append(_cached(n))
    found = Item("x")
    found.name = "y"
    return max(total) + math.pi
"""


def test_functions_over_constants_keep_nothing():
    assert not keeps_state(ast.parse(STATELESS)) and not keeps_state(ast.parse(""))


@pytest.mark.parametrize(
    "source",
    [
        "n = 0\ndef f():\n    global n\n    n += 1",
        "seen = []\ndef f(x): seen.append(x)",
        "seen = {}\ndef f(x): seen[x] = 1",
        "seen = []\ndef f(x): return seen",
        "seen = {}\ndef f(x): y = seen; y[x] = 1",
        "rows = [[1]]\ndef f(): rows[0].append(2)",
        "def f(x, seen=[]): return seen",
        "def f(x): f.n = x",
        "import math\ndef f(x): math.pi = x",
        "class A: n = []\ndef f(x): return A.n",
        "class A: pass\ndef f(x): A.n = x",
        "import random\ndef f(): return random.random()",
        "import sqlite3\ndef f(): return 1",
        "from collections import Counter\nseen = Counter()\ndef f(x): return seen",
        "def counted(g): return g\n@counted\ndef f(): return 1",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None\ndef f(): return 1",
    ],
)
def test_what_may_be_kept_is_taken_for_state(source):
    assert keeps_state(ast.parse(source))


def turn(tmp_path, source: str, calls: list[tuple]) -> tuple[bool, list[str]]:
    path = tmp_path / "tools.py"
    path.write_text(source)

    async def run():
        async with ToolExecutor(Toolset.from_python(path), timeout_s=20.0, workers=2) as executor:
            return executor.toolset.parallel, [result.text for result in await executor.call_turn(calls, "s")]

    return asyncio.run(run())


def test_calls_of_one_turn_run_at_once_where_nothing_is_kept(tmp_path):
    """Each says when it began and ended: the second begins before the first ends, and results keep their order."""
    source = "import time\ndef nap(s: float) -> list:\n    begun = time.monotonic()\n    time.sleep(s)\n"
    source += "    return [begun, time.monotonic()]\n"
    parallel, texts = turn(tmp_path, source, [("nap", {"s": 0.6}), ("nap", {"s": 0.1}), ("nope", {})])
    first, second = (ast.literal_eval(text) for text in texts[:2])
    assert parallel and second[0] < first[1] and first[1] - first[0] > 0.5 and '"unknown_tool"' in texts[2]


def test_calls_of_one_turn_keep_their_order_where_something_is_kept(tmp_path):
    source = "import time\nseen = []\ndef note(word: str, s: float = 0) -> list:\n    time.sleep(s)\n"
    source += "    seen.append(word)\n    return seen\n"
    calls = [("note", {"word": "a", "s": 0.2}), ("note", {"word": "b"})]
    assert turn(tmp_path, source, calls) == (False, ['["a"]', '["a", "b"]'])


def test_trusted_tools_and_classes_run_in_order(tmp_path):
    path = tmp_path / "tools.py"
    path.write_text("class Shop:\n    def buy(self): self.n = 1\n")
    assert not Toolset.from_python(path).parallel
    path.write_text("def f(): return 1\n")
    assert not Toolset.from_python(path, trusted=True).parallel and Toolset.from_python(path).parallel
    assert Toolset.builtin("calculator").parallel and not Toolset.builtin("python").parallel
