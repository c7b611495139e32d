"""Schema documents and arguments."""

import pytest

from mentor.calls.arguments import ArgumentValidator
from mentor.calls.schemas import check_schema

PARAMETERS = {
    "type": "object",
    "properties": {
        "x": {"type": "number"},
        "digits": {"type": "integer"},
        "numbers": {"type": "array", "items": {"type": "number"}},
        "unit": {"enum": ["m", "km"]},
    },
    "required": ["x"],
}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"x": 1}, None),
        ({"x": 1.5, "digits": 2.0, "numbers": [1, 2.5], "unit": "m"}, None),
        ({"x": True}, "argument 'x' must be number, got boolean"),
        ({"x": "1"}, "argument 'x' must be number, got string"),
        ({"x": None}, "argument 'x' must be number, got null"),
        ({"x": 1, "digits": 2.5}, "argument 'digits' must be integer, got number"),
        ({"x": 1, "digits": float("inf")}, "argument 'digits' must be integer, got number"),
        ({"x": 1, "numbers": [1, False]}, "argument 'numbers[1]' must be number, got boolean"),
        ({"x": 1, "unit": "mile"}, "argument 'unit' must be one of ['m', 'km']"),
        ({}, "missing required argument 'x'"),
        ({"x": 1, "a=1)#": 2}, "unexpected argument 'a=1)#', accepted: x, digits, numbers, unit"),
        ([], "arguments must be object, got array"),
        ("x=1", "arguments must be object, got string"),
    ],
)
def test_arguments(arguments, problem):
    assert ArgumentValidator(PARAMETERS).problem(arguments) == problem


def test_messages_are_short_whatever_the_value():
    problem = ArgumentValidator(PARAMETERS).problem
    assert problem({"x": 1, "unit": 10**6000}) == "arguments hold an integer that is too long"
    assert problem({"x": 1, "unit": "y" * 10**6}) == "argument 'unit' must be one of ['m', 'km']"
    assert problem({"x": 10**6000}) is None
    assert len(problem({"x": 1, "y" * 10**6: 1}) or "") < 200


def test_whole_floats_become_integers_where_asked_for():
    coerced = ArgumentValidator(PARAMETERS).coerced({"x": 2.0, "digits": 3.0})
    assert coerced == {"x": 2.0, "digits": 3}
    assert [type(value) for value in coerced.values()] == [float, int]


def test_additional_arguments_pass_where_the_schema_says_so():
    assert ArgumentValidator({**PARAMETERS, "additionalProperties": True}).problem({"x": 1, "y": 2}) is None


def test_recursive_schema_and_deep_value():
    schema = {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/t"}},
        "$defs": {"t": {"items": {"$ref": "#/$defs/t"}}},
    }
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert (
        ArgumentValidator(check_schema({"name": "f", "parameters": schema}, "row")["function"]["parameters"]).problem(
            {"x": deep}
        )
        == "arguments are nested too deeply"
    )


COERCED = {
    "type": "object",
    "properties": {
        "x": {"type": "number"},
        "n": {"type": "integer"},
        "maybe": {"type": ["integer", "null"]},
        "flag": {"type": "boolean"},
        "numbers": {"type": "array", "items": {"type": "number"}},
        "point": {"type": "object", "properties": {"x": {"type": "number"}}},
        "either": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
        "text": {"type": "string"},
        "both": {"type": ["string", "number"]},
        "any": {},
    },
}


@pytest.mark.parametrize(
    ("given", "meant", "kinds"),
    [
        ({"x": "3"}, {"x": 3}, ["number"]),
        ({"x": " -2.50e1 "}, {"x": -25.0}, ["number"]),
        ({"n": "7"}, {"n": 7}, ["number"]),
        ({"n": "7.0"}, {"n": 7.0}, ["number"]),
        ({"maybe": "5"}, {"maybe": 5}, ["number"]),
        ({"flag": "True"}, {"flag": True}, ["boolean"]),
        ({"flag": "false"}, {"flag": False}, ["boolean"]),
        ({"numbers": "[1, 2.5]"}, {"numbers": [1, 2.5]}, ["json"]),
        ({"numbers": ["1", 2, "3"]}, {"numbers": [1, 2, 3]}, ["number", "number"]),
        ({"numbers": '["1"]'}, {"numbers": [1]}, ["json", "number"]),
        ({"point": '{"x": "1"}'}, {"point": {"x": 1}}, ["json", "number"]),
        ({"either": "[1]"}, {"either": [1]}, ["json"]),
        ('{"x": 1, "text": "3"}', {"x": 1, "text": "3"}, ["json"]),
        # what stays as it is
        ({"x": "three"}, {"x": "three"}, []),
        ({"x": "nan"}, {"x": "nan"}, []),
        ({"x": "1_000"}, {"x": "1_000"}, []),
        ({"x": "\u0663"}, {"x": "\u0663"}, []),
        ({"x": "9" * 5000}, {"x": "9" * 5000}, []),
        ({"flag": 1}, {"flag": 1}, []),
        ({"flag": "yes"}, {"flag": "yes"}, []),
        ({"text": "3"}, {"text": "3"}, []),
        ({"both": "3"}, {"both": "3"}, []),
        ({"any": "3"}, {"any": "3"}, []),
        ({"numbers": "[1, 2"}, {"numbers": "[1, 2"}, []),
        ({"numbers": '{"a": 1}'}, {"numbers": '{"a": 1}'}, []),
        ({"numbers": "[" * 10**5}, {"numbers": "[" * 10**5}, []),
        ({"unknown": "3"}, {"unknown": "3"}, []),
        (None, None, []),
        ("x=1", "x=1", []),
    ],
)
def test_text_is_read_as_what_the_schema_asks_for(given, meant, kinds):
    assert ArgumentValidator(COERCED).coerce(given) == (meant, kinds)
