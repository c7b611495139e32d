"""Right calls in BFCL's form: accepted values, types, defaults; each is right by the rules that judge it."""

import pytest

from mentor.calls.gold import gold_calls, typed
from mentor.calls.schemas import check_schema
from mentor.errors import InputError
from mentor.rewards.call_judge import judge_calls
from mentor.types import ToolCall


def schema(name="f", **properties):
    return check_schema({"name": name, "parameters": {"type": "object", "properties": properties}}, "test")


def right(arguments, given, **properties):
    """Whether f(given) is right where f(arguments) is."""
    gold = gold_calls([ToolCall("f", arguments)], [schema(**properties)], "row")
    return judge_calls(gold, [{"name": "f", "arguments": given}]).valid


TEXT, WHOLE, NUMBER, LIST = {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "array"}


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        (TEXT, "New York", "Boston"),
        (WHOLE, 3, 4),
        (WHOLE, 3, 3.0),
        (NUMBER, 2.5, 2),
        ({"type": "boolean"}, True, 1),
        (TEXT, 7, "7"),
        ({}, [1, "a"], [1]),
        (LIST, [], ["x"]),
        ({"type": "array", "items": NUMBER}, [2.5, 1], [1, 2.5]),
        ({"type": "array", "items": TEXT}, ["a", "b"], ["b", "a"]),
        ({"type": "object"}, {"a": [1, 2], "b": {"c": 3}}, {"a": [1, 2]}),
        ({"type": "array", "items": {"type": "object"}}, [{"a": 1}], [{"a": 2}]),
        ({"type": ["string", "null"]}, None, "x"),
        ({"enum": ["a", "b"]}, "a", "b"),
    ],
)
def test_a_value_is_right_by_itself_and_another_wrong(kind, value, wrong):
    assert right({"x": value}, {"x": value}, x=kind)
    assert not right({"x": value}, {"x": wrong}, x=kind)
    assert not right({"x": value}, {}, x=kind)
    assert not right({}, {"x": value}, x=kind)


def test_strings_are_compared_as_bfcl_does_and_a_whole_number_is_taken_for_a_number():
    assert right({"x": "New York"}, {"x": "new-york"}, x=TEXT)
    assert right({"x": 2.0}, {"x": 2}, x=NUMBER)


def test_a_default_may_be_given_or_left_out():
    size = {"type": "integer", "default": 10}
    for arguments in ({}, {"n": 10}):
        assert right(arguments, {}, n=size) and right(arguments, {"n": 10}, n=size)
        assert not right(arguments, {"n": 5}, n=size)
    assert right({"n": 5}, {"n": 5}, n=size) and not right({"n": 5}, {}, n=size)


def test_several_calls_are_right_in_any_order_and_none_is_irrelevance():
    calls = [ToolCall("f", {"x": "a"}), ToolCall("g", {})]
    gold = gold_calls(calls, [schema(x=TEXT), schema("g")], "row")
    assert gold.category == "parallel"
    output = [{"name": call.name, "arguments": call.arguments} for call in reversed(calls)]
    assert judge_calls(gold, output).valid and not judge_calls(gold, output[:1]).valid
    none = gold_calls([], [schema()], "row")
    assert none.category == "irrelevance"
    assert judge_calls(none, []).valid and not judge_calls(none, output).valid


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ToolCall("h", {}), "^row: a right call is of 'h', and the tools are f$"),
        (ToolCall("f", {"y": 1}), "^row: a right call of 'f' has 'y', which its schema has not$"),
    ],
)
def test_a_call_that_the_tools_do_not_have_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        gold_calls([call], [schema(x=TEXT)], "row")


def test_of_a_published_function_the_types_stay():
    properties = {"x": {"type": "tuple", "items": {"type": "dict", "description": "d"}, "description": "d"}, "y": {}}
    function = {
        "name": "f",
        "description": "d",
        "parameters": {"type": "dict", "properties": properties, "required": ["x"]},
    }
    assert typed(function) == {
        "name": "f",
        "parameters": {"properties": {"x": {"type": "tuple", "items": {"type": "dict"}}, "y": {}}, "required": ["x"]},
    }
