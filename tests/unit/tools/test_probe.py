"""Arguments made from schemas fit them, and what comes of one call of each tool is told."""

import asyncio

import pytest

from mentor.calls.arguments import ArgumentValidator
from mentor.tasks.bfcl import load_bfcl
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.probe import example_arguments, probe_tools

SOURCE = (
    "def fine(n: int, names: list[str]) -> str:\n    return f'{n} {names}'\n\n"
    "def picky(word: str) -> str:\n    raise ValueError('no such word')\n\n"
    "def endless() -> str:\n    while True: pass\n"
)


def test_every_tool_is_called_once(tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(SOURCE)

    async def run():
        async with ToolExecutor(Toolset.from_python(path), timeout_s=0.3) as executor:
            return await probe_tools(executor)

    fine, picky, endless = asyncio.run(run())
    assert str(fine) == "fine(n=1, names=['text']) -> \"1 ['text']\"" and not fine.broken
    assert "(exception)" in str(picky) and not picky.broken
    assert endless.broken and "(timeout)" in str(endless)


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"properties": {"a": {"type": "integer", "minimum": 3}, "b": {}}, "required": ["a"]}, {"a": 3}),
        ({"properties": {"a": {"enum": ["x", "y"]}}, "required": ["a"]}, {"a": "x"}),
        ({"properties": {"a": {"type": ["null", "string"]}}, "required": ["a"]}, {"a": None}),
        ({"properties": {"a": {"$ref": "#/$defs/p"}}, "required": ["a"], "$defs": {"p": {"const": 7}}}, {"a": 7}),
        (
            {
                "properties": {
                    "a": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string", "format": "date"}]}
                },
                "required": ["a"],
            },
            {"a": [1, "2024-01-31"]},
        ),
        (
            {
                "properties": {
                    "a": {"type": "object", "properties": {"b": {"type": "boolean"}}, "required": ["b"]},
                    "c": {"anyOf": [{"type": "array", "items": {"type": "number"}, "minItems": 2}]},
                    "d": {"type": "string", "minLength": 6},
                    "e": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
                },
                "required": ["a", "c", "d", "e"],
            },
            {"a": {"b": True}, "c": [1.5, 1.5], "d": "texttt", "e": 0.5},
        ),
    ],
)
def test_arguments_fit_the_schema(parameters, arguments):
    parameters = {"type": "object", **parameters}
    assert example_arguments(parameters) == arguments
    assert ArgumentValidator(parameters).problem(arguments) is None


def test_schemas_of_real_data(shared):
    functions = [
        schema["function"]
        for name in ("simple_python", "multiple", "parallel_multiple")
        for task in load_bfcl(shared / "data" / "bfcl" / f"BFCL_v4_{name}.jsonl")
        for schema in task.tools.schemas
    ]
    schemas = [function["parameters"] for function in functions]
    unfit = [schema for schema in schemas if ArgumentValidator(schema).problem(example_arguments(schema))]
    assert len(schemas) > 700 and not unfit
