"""What a user's tools.py may hold, run in its engine: type hints, classes, and replaced schemas."""

import asyncio
import json

import pytest

from mentor.errors import ConfigError, InputError
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.user_source import ENGINES, chosen_engine
from mentor.types import CallError

SOURCE = '''
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated

class Size(Enum):
    SMALL = "small"
    LARGE = "large"

@dataclass
class Parcel:
    size: Size
    weight: float = 1.5

class Post:
    def __init__(self):
        self.sent = []

    def send(self, parcel: Parcel, day: date, note: Annotated[str, "Free text."] = "") -> str:
        """Send it.

        Args:
            day: When.
        """
        self.sent.append(parcel)
        return f"{len(self.sent)} {parcel.size.name} {parcel.weight} {day:%A} {note!r}"

    async def count(self, size: Size | None = None) -> int:
        return sum(size in (None, parcel.size) for parcel in self.sent)

def top(n: int) -> int:
    half = n // 2
    return half
'''


def write(tmp_path, text: str, name: str = "tools.py") -> str:
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def run(toolset: Toolset, *calls: tuple):
    async def results():
        async with ToolExecutor(toolset) as executor:
            return [await executor.call(name, arguments, session) for session, name, arguments in calls]

    return asyncio.run(results())


def test_type_hints_are_kept_and_each_session_has_an_instance(tmp_path):
    toolset = Toolset.from_python(write(tmp_path, SOURCE))
    schemas = {schema["function"]["name"]: schema["function"]["parameters"] for schema in toolset.schemas}
    assert list(schemas) == ["top", "send", "count"] and schemas["send"]["required"] == ["parcel", "day"]
    assert schemas["send"]["properties"]["day"] == {"format": "date", "type": "string", "description": "When."}
    assert schemas["send"]["properties"]["note"] == {"type": "string", "description": "Free text."}
    parcel, day = {"size": "large"}, "2024-02-29"
    results = run(
        toolset,
        ("a", "send", {"parcel": parcel, "day": day}),
        ("a", "send", {"parcel": json.dumps({"size": "small", "weight": 2}), "day": day, "note": "x"}),
        ("a", "count", {}),
        ("a", "count", {"size": "large"}),
        ("b", "count", {}),
        ("b", "send", {"parcel": parcel, "day": "soon"}),
        ("b", "top", {"n": 7}),
    )
    *shown, refused, top = [result.text for result in results]
    assert shown == ["1 LARGE 1.5 Thursday ''", "2 SMALL 2.0 Thursday 'x'", "2", "1", "0"] and top == "3"
    assert results[5].error is CallError.INVALID_ARGUMENTS and "argument 'day': Input should be a valid date" in refused


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "import socket\ndef f(a: socket.socket): pass\n",
            r"tools\.py:2: parameter 'a' of tool 'f' has the type hint so",
        ),
        (
            "def f(a: Absent = 1): pass\n",
            r"has the type hint Absent: NameError: name 'Absent' is not defined; accepted",
        ),
        ("class A:\n    def run(self, a): pass\n", r"tools\.py:2: parameter 'a' of tool 'run' has no type hint"),
        (
            "class A:\n    def __init__(self, n): pass\n    def run(self): pass\n",
            r"tools\.py:1: the sandbox cannot run `class A:`: TypeError: .*missing 1 required positional argument: 'n'",
        ),
        (
            "class A:\n    def __init__(self):\n        self.n = 1 / 0\n    def run(self): pass\n",
            r"tools\.py:3: the sandbox cannot run `self\.n = 1 / 0`: ZeroDivisionError",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path, source, message):
    with pytest.raises(InputError, match=message):
        Toolset.from_python(write(tmp_path, "from __future__ import annotations\n" * ("Absent" in source) + source))


def test_monty_takes_classes_but_only_hints_of_json_values(tmp_path):
    counter = "class Counter:\n    def __init__(self): self.n = 0\n    def add(self, k: int = 1):\n"
    counter += "        self.n += k\n        return self.n\n"
    toolset = Toolset.from_python(write(tmp_path, counter), "monty")
    calls = [("a", "add", {}), ("a", "add", {"k": 4}), ("b", "add", {})]
    assert [result.text for result in run(toolset, *calls)] == ["1", "5", "1"]
    with pytest.raises(
        InputError, match=r"'parcel' of tool 'send' has the type hint Parcel: accepted with tools\.engine"
    ):
        Toolset.from_python(write(tmp_path, SOURCE), "monty")


def test_schemas_of_a_file_replace_derived_ones(tmp_path):
    path = write(tmp_path, "def f(a, *rest): return [a, *rest]\n\ndef g(b: int = 2): return b\n")
    parameters = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    own = [{"name": "f", "description": "Mine.", "parameters": parameters}]
    toolset = Toolset.from_python(path, schemas=write(tmp_path, json.dumps(own), "tools.json"))
    assert toolset.schemas[0] == {"type": "function", "function": own[0]} and toolset.names == ("f", "g")
    assert [result.text for result in run(toolset, ("s", "f", {"a": "x"}), ("s", "g", {}))] == ['["x"]', "2"]
    for text, message in [
        ("{", "is not JSON"),
        ("{}", "accepted is a list of tool schemas"),
        ('[{"name": "h"}]', r"schema 'h' names no tool of .*tools\.py; tools: f, g"),
        ('[{"name": "f"}, {"name": "f"}]', "schema 'f' comes twice"),
    ]:
        with pytest.raises(InputError, match=message):
            Toolset.from_python(path, schemas=write(tmp_path, text, "tools.json"))


def test_the_engine_is_cpython_unless_monty_is_asked_for():
    assert ENGINES == ("auto", "monty", "cpython") and chosen_engine("auto", False) == ("cpython", "")
    assert chosen_engine("auto", True) == ("cpython", "trusted: no sandbox")
    assert chosen_engine("monty", False) == ("monty", "as tools.engine says")
    with pytest.raises(ConfigError, match=r"^tools\.engine=jython is not accepted: auto, monty, cpython$"):
        chosen_engine("jython", False)
    with pytest.raises(ConfigError, match="exclude each other"):
        chosen_engine("monty", True)
