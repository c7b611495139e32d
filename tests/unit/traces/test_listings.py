"""Tool schemas of rows: from a column, from a system text, from calls."""

import json

import pytest

from mentor.traces.listings import checked_tools, listed_tools, made_from_calls, tools_in_text
from mentor.traces.trace import TraceError

STOCK = {
    "name": "stock",
    "description": "Pieces.",
    "parameters": {"type": "object", "properties": {"item": {"type": "string"}}},
}
NOW = {"name": "now", "description": "", "parameters": {"type": "object", "properties": {}}}


def names(schemas):
    return [schema["function"]["name"] for schema in schemas]


@pytest.mark.parametrize(
    "row",
    [
        {"tools": [{"type": "function", "function": STOCK}, NOW]},
        {"tools": json.dumps([STOCK, NOW])},
        {"tools": [json.dumps(STOCK), json.dumps({"type": "function", "function": NOW})]},
        {"tools": "[]", "functions": [STOCK, {"name": "now", "parameters": {}}]},
        {"tools": None, "functions": [STOCK, {"name": "now", "description": None}]},
        {"tools": str([STOCK, NOW])},
    ],
)
def test_a_column_holds_schemas_or_their_text(row):
    schemas = listed_tools(row)
    assert [schema["function"] for schema in schemas] == [STOCK, NOW]


def test_no_column_or_an_empty_one_lists_none():
    assert (
        listed_tools({})
        is listed_tools({"tools": ""})
        is listed_tools({"tools": "[]"})
        is listed_tools({"tools": []})
        is None
    )


def test_pythons_types_and_bare_properties_become_json_schema():
    (schema,) = checked_tools(
        [
            {
                "name": "Get Weather",
                "parameters": {
                    "type": "dict",
                    "properties": {
                        "days": {"type": "list", "items": {"type": "int"}},
                        "city": {"type": "str", "required": True, "default": None},
                    },
                    "required": None,
                },
            }
        ],
        "row",
    )
    assert schema["function"]["parameters"] == {
        "type": "object",
        "properties": {"days": {"type": "array", "items": {"type": "integer"}}, "city": {"type": "string"}},
        "required": ["city"],
    }
    (bare,) = checked_tools([{"name": "f", "parameters": {"x": {"type": "float"}}}], "row")
    assert bare["function"]["parameters"] == {"type": "object", "properties": {"x": {"type": "number"}}}


@pytest.mark.parametrize(
    "row",
    [{"tools": "[{"}, {"tools": ["stock"]}, {"tools": [{"description": "no name"}]}, {"tools": [3]}, {"tools": 3}],
)
def test_what_is_no_schema_is_refused(row):
    with pytest.raises(TraceError) as caught:
        listed_tools(row)
    assert caught.value.reason == "unfit_tools"


def test_schemas_are_taken_out_of_a_system_text():
    for inside in (json.dumps([STOCK, NOW]), f"{json.dumps(STOCK)}\n{json.dumps(NOW)}"):
        schemas, rest = tools_in_text(f"In <tools></tools>: <tools> {inside} </tools> Write {{}} calls.")
        assert names(schemas) == ["stock", "now"] and rest == "In <tools></tools>:  Write {} calls."
    text = f"Use these -\n{json.dumps(STOCK, indent=1)}\n\n{json.dumps(NOW)}\nElse {{'say': 'so'}} [1]."
    schemas, rest = tools_in_text(text)
    assert names(schemas) == ["stock", "now"] and rest == "Use these -\n\n\n\nElse {'say': 'so'} [1]."
    assert tools_in_text("You have no tools. [x]") == (None, "You have no tools. [x]")


def test_schemas_are_made_from_calls():
    calls = [
        {"name": "stock", "arguments": {"item": "nut", "n": 2}},
        {"name": "stock", "arguments": {"item": None, "n": 2.5}},
        {"name": "now", "arguments": {}},
    ]
    stock, now = made_from_calls(calls)
    assert stock["function"]["parameters"]["properties"] == {
        "item": {"type": "string"},
        "n": {"type": ["integer", "number"]},
    }
    assert now["function"] == NOW
