"""Tool schemas that a user brings."""

import json

import pytest

from mentor.calls.schemas import check_schema, json_schema, schemas_text, short_text
from mentor.errors import InputError


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("add", "row 3: tool schema add is not one"),
        ({"type": "function"}, "row 3: tool schema .* is not one"),
        ({"type": "function", "function": {"name": ""}}, "is not one"),
        ({"name": "f", "parameters": {"type": "dict"}}, "schema of tool 'f': parameters are .*type object"),
        ({"name": "f", "parameters": []}, "parameters are"),
        ({"name": "f", "description": 3}, "description is 3, accepted is text"),
        (
            {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "float"}}}},
            r"parameters\.properties\.a\.type is not a JSON schema: 'float'",
        ),
        (
            {"name": "f", "parameters": {"type": "object", "properties": {"a": {"pattern": "("}}}},
            "is not a JSON schema",
        ),
        ({"name": "f", "parameters": {"type": "object", "$ref": "http://x.invalid/s"}}, "names nothing inside"),
        ({"name": "f", "parameters": {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}}, "names nothing"),
    ],
)
def test_a_tool_schema_that_is_not_one(schema, message):
    with pytest.raises(InputError, match=message) as refused:
        check_schema(schema, "row 3")
    assert "\n" not in str(refused.value)


def test_a_bare_function_is_wrapped_and_gets_what_it_lacks():
    bare = {"name": "f", "strict": True}
    whole = {"type": "function", "function": {"name": "f", "description": "", "parameters": {"type": "object"}}}
    expected = {"name": "f", "description": "", "parameters": {"type": "object", "properties": {}}}
    assert check_schema(bare, "row") == check_schema(whole, "row") == {"type": "function", "function": expected}


def test_references_inside_the_schema_are_fine_and_deep_ones_are_refused():
    inside = {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"type": "integer"}}}
    assert check_schema({"name": "f", "parameters": inside}, "row")["function"]["parameters"] == inside
    deep: dict = {"type": "object"}
    for _ in range(3000):
        deep = {"type": "object", "properties": {"a": deep}}
    with pytest.raises(InputError, match="parameters are nested too deeply"):
        check_schema({"name": "f", "parameters": deep}, "row")


def test_text_of_schemas_and_of_values():
    assert schemas_text([{"name": "é", "n": [1, 2]}]) == '[{"name":"é","n":[1,2]}]'
    assert short_text("a\n  b") == "a b" and short_text(["x"]) == "['x']"
    assert short_text("y" * 121) == "y" * 120 + "..."


def test_keys_keep_the_order_that_prompts_show_them_in():
    schema = {"type": "int", "description": "one", "minimum": 0}
    assert list(json_schema({"type": "dict", "properties": {"a": schema}})) == ["type", "properties"]
    assert json.dumps(json_schema(schema)) == '{"type": "integer", "description": "one", "minimum": 0}'
    assert list(json_schema({"description": "x", "type": "any"})) == ["description"]
