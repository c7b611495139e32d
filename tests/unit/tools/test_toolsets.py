"""Where tools come from, and what is refused when they are loaded."""

import time

import pytest

from mentor.errors import ConfigError, InputError
from mentor.tools import Toolset, build_toolset
from mentor.tools.engine import Limits


def test_the_calculator():
    toolset = Toolset.builtin("calculator")
    parameters = {schema["function"]["name"]: schema["function"]["parameters"] for schema in toolset.schemas}
    assert {name: list(schema["properties"]) for name, schema in parameters.items()} == {
        **{name: ["a", "b"] for name in ("add", "subtract", "multiply", "divide", "modulo")},
        "power": ["base", "exponent"],
        "sum_numbers": ["numbers"],
        **{name: ["x"] for name in ("floor", "ceil", "sqrt", "abs_value")},
        "round_number": ["x", "digits"],
    }
    assert parameters["round_number"]["required"] == ["x"]
    assert len(toolset.names) == 12
    assert toolset.schemas_json.startswith(
        '[{"type":"function","function":{"name":"add","description":"Add two numbers."'
    )


def test_build_toolset(tmp_path):
    (tmp_path / "mine.py").write_text("def f(a: int) -> int:\n    return a\n\ndef _hidden(b): pass\n")
    assert build_toolset("calculator").name == "calculator"
    assert build_toolset("file", tmp_path / "mine.py").names == ("f",)
    for name, path, message in [
        ("abacus", None, "tools.name=abacus is not known, accepted: calculator, python, file, search, mcp"),
        ("file", None, "tools.path is missing"),
        ("calculator", "t.py", "tools.path=t.py is read with tools=file or search"),
    ]:
        with pytest.raises(ConfigError, match=message):
            build_toolset(name, path)
    with pytest.raises(InputError, match="'abacus' is not built in"):
        Toolset.builtin("abacus")


def test_files_that_are_no_tools(tmp_path):
    with pytest.raises(InputError, match=r"absent\.py does not exist"):
        Toolset.from_python(tmp_path / "absent.py")
    with pytest.raises(InputError, match="is a folder"):
        Toolset.from_python(tmp_path)
    path = tmp_path / "tools.py"
    for content, message in [
        (b"", "has no tool; accepted are public top-level functions, and public methods of a top-level class that "),
        (b"X = 1\ndef _f(): pass\nclass C: pass\n", "has no tool"),
        (b"def f(:\n", r"tools\.py:1: not Python: "),
        (b"X = '\xff'\n", "is not UTF-8 text"),
        (b"def f(a): return a\n", r"tools\.py:1: parameter 'a' of tool 'f' has no type hint"),
    ]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            Toolset.from_python(path)


@pytest.mark.parametrize(
    ("source", "line", "construct"),
    [
        # found by loading the source
        ("import math\n\nimport requests", 3, "import requests"),
        ("from enum import Enum", 1, "from enum import Enum"),
        ("class Wrong(ValueError):\n    pass", 1, "class inheritance"),
        ("def _g():\n    yield 1", 2, "yield expressions"),
        ("class A:\n    @property\n    def x(self): return 1", 2, "property"),
        ("class A:\n    @staticmethod\n    def x(): return 1", 2, "staticmethod"),
        ("X = 1\nY = X / 0", 2, "division by zero"),
        ("import os\nKEY = os.environ['KEY']", 2, "os.environ"),
        ("TEXT = open('/etc/passwd').read()", 1, "Permission denied"),
        # found only when a function would run
        ("def _g():\n    import requests\n    return requests", 2, "import requests"),
        ("def _g():\n    try:\n        import numpy\n    except Exception:\n        return 1", 3, "import numpy"),
        ("def _g():\n    return missing(1)", 2, "missing"),
        ("class A:\n    def run(self):\n        return super().run()", 3, "super"),
        ("import math\ndef _g():\n    return math.no_such", 3, "math.no_such"),
        ("import os\ndef _g():\n    return os.system('ls')", 3, "os.system"),
        ("import re\ndef _g():\n    return re.sub('a', lambda m: 'b', 'a')", 3, "re.sub"),
    ],
)
def test_source_the_sandbox_cannot_run_is_refused_with_its_line(tmp_path, source, line, construct):
    path = tmp_path / "tools.py"
    path.write_text(f"{source}\n\ndef tool(a: int) -> int:\n    return a\n")
    with pytest.raises(InputError) as refused:
        Toolset.from_python(path, engine="monty")
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: the sandbox cannot run `")
    assert construct in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("engine", "loop", "message"),
    [
        ("monty", "while True: pass", r"tools\.py: the sandbox cannot load the file: .*time limit"),
        ("cpython", "while True: pass", r"tools\.py:3: the sandbox cannot run `while True: pass`: TimeoutError: not "),
        (
            "cpython",
            "sum(range(10**12))",
            r"tools\.py: the sandbox cannot load it: TimeoutError: not loaded within tools\.load_",
        ),
    ],
)
def test_source_that_never_ends_is_refused_within_the_time_to_load(tmp_path, engine, loop, message):
    path = tmp_path / "tools.py"
    path.write_text(f"def tool(a: int) -> int:\n    return a\n{loop}\n")
    begun = time.perf_counter()
    with pytest.raises(InputError, match=message):
        Toolset.from_python(path, engine, limits=Limits(load_timeout_s=0.3))
    assert time.perf_counter() - begun < 3


def test_ordinary_source_is_accepted(tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(
        '''from __future__ import annotations
import json, math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

try:
    import numpy
except ImportError:
    numpy = None

TABLE = list(range(100000))
calls = 0

@dataclass
class Point:
    x: float

    def norm(self) -> float:
        return abs(self.x)

@lru_cache
def _cached(n):
    return sum(k for k in range(n))

def late(a: int) -> int:
    global fresh
    fresh = a
    return fresh

def shadow(math: dict[str, int]) -> int:
    return math.get("a", 0)

async def tool(a: int, b: float = math.pi) -> list:
    """Doc."""
    global calls
    calls += 1
    try:
        import scipy
    except ImportError:
        pass
    return [_cached(a), Point(b).norm(), len(TABLE), json.dumps([1]), Counter("aab")["a"], __name__ != ""]

10**6000
'''
    )
    assert Toolset.from_python(path).names == ("late", "shadow", "tool")


def test_a_row_brings_its_own_tools():
    schema = '[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]'
    assert Toolset.from_row("def f(): return 1\ndef g(): return 2", schema).names == ("f",)
    for env, schemas, message in [
        ("def g(): return 1", schema, "schema 'f' names no function of env; functions: g"),
        ("f = 1", schema, "functions: none"),
        ("def f(): return 1", "[", "func_schemas is not JSON"),
        ("def f(): return 1", "[]", "not empty"),
        ("def f(): return 1", [{"name": "f"}, {"name": "f"}], "schema 'f' comes twice"),
    ]:
        with pytest.raises(InputError, match=message):
            Toolset.from_row(env, schemas)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "search"}, "tools.path is missing"),
        ({"name": "mcp"}, "tools.server is missing"),
        ({"name": "calculator", "server": "x"}, "tools.server=x is read with tools=mcp, not tools=calculator"),
        ({"name": "python", "engine": "monty"}, "tools.engine=monty cannot run tools=python"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ConfigError, match=message):
        build_toolset(**settings)
