"""Plain text as the value that a schema asks for."""

import pytest

from mentor.chat.plain_values import read_value, write_value

ROOT = {"$defs": {"Count": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("2", {"type": "string"}, "2"),
        ("2", {"type": "integer"}, 2),
        ("2.5", {"type": "number"}, 2.5),
        (" 2\n", {"type": "integer"}, 2),
        ("two", {"type": "integer"}, "two"),
        ("True", {"type": "boolean"}, True),
        ("true", {"type": "boolean"}, True),
        ("true", {"type": "string"}, "true"),
        ("None", {"type": ["string", "null"]}, None),
        ("2", {"type": ["string", "null"]}, "2"),
        ('{"a": [1]}', {"type": "object"}, {"a": [1]}),
        ("\n x \n", {"type": "string"}, "\n x \n"),
        ("2", {"anyOf": [{"type": "string"}, {"type": "integer"}]}, 2),
        ("2", {"enum": ["1", "2"]}, "2"),
        ("2", {"enum": [1, 2]}, 2),
        ("2", {"$ref": "#/$defs/Count"}, 2),
        ("2", {}, 2),
        ("2", None, 2),
        ('"2"', {}, '"2"'),
        ("NaN", {}, "NaN"),
        ("[" * 2000, {}, "[" * 2000),
    ],
)
def test_a_value_has_the_type_that_the_schema_asks_for(text, schema, value):
    found = read_value(text, "a", {**ROOT, "properties": {"a": schema}} if schema is not None else {})
    assert found == value and type(found) is type(value)


def test_a_string_is_written_as_it_is_and_others_as_json():
    assert [write_value(value) for value in ("a\n", 2, None, {"a": True})] == ["a\n", "2", "null", '{"a": true}']
