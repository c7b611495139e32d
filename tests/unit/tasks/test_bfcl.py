"""BFCL rows: schemas turned into JSON schema, accepted calls into references."""

import json

import pytest

from mentor.calls.arguments import ArgumentValidator
from mentor.errors import InputError
from mentor.tasks.bfcl import first_accepted, json_schema, load_bfcl, parse_call, tool_schema
from mentor.types import ToolCall

CATEGORIES = {
    "simple_python": (200, 200),
    "multiple": (100, 100),
    "parallel": (100, 269),
    "parallel_multiple": (100, 312),
    "irrelevance": (120, 0),
    "multi_turn_base": (100, 559),
}
# The rows' own accepted values break their schemas: a text where an array, and where an integer, is declared.
FLAWED = {"parallel_multiple_21", "multi_turn_base_173"}


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_row_is_a_task_whose_accepted_calls_fit_its_schemas(shared, category):
    tasks = load_bfcl(shared / "data" / "bfcl" / f"BFCL_v4_{category}.jsonl")
    assert (len(tasks), sum(len(task.reference) for task in tasks)) == CATEGORIES[category]
    unfit = set()
    for task in tasks:
        functions = [schema["function"] for schema in task.tools.schemas]
        validators = {function["name"]: ArgumentValidator(function["parameters"]) for function in functions}
        unfit |= {task.id for call in task.reference if validators[call.name].problem(call.arguments)}
        assert task.question and task.tools.schemas
    assert unfit == {name for name in FLAWED if name.rpartition("_")[0] == category}


def test_types_are_turned_at_every_depth():
    ours = {
        "type": "dict",
        "properties": {
            "at": {"type": "tuple", "items": {"type": "float"}, "optional": True},
            "type": {"type": "string", "enum": ["dict", "float"]},
            "any": {"type": "any", "description": "whatever"},
        },
    }
    assert json_schema(ours) == {
        "type": "object",
        "properties": {
            "at": {"type": "array", "items": {"type": "number"}},
            "type": {"type": "string", "enum": ["dict", "float"]},
            "any": {"description": "whatever"},
        },
    }


def test_the_first_accepted_values_make_a_call():
    parameters = {"type": "dict", "properties": {name: {"type": "any"} for name in "abcd"}, "required": ["b"]}
    schema = tool_schema({"name": "math.f", "parameters": parameters}, "row")
    truth = [{"math.f": {"a": ["", 5], "b": ["", 7], "c": [{"x": [1, 2], "y": ["", 3]}], "d": [[{"z": [4]}], ""]}}]
    assert first_accepted(truth, [schema]) == [ToolCall("math.f", {"b": 7, "c": {"x": 1}})]
    assert first_accepted([{"math.f": {"a": [""], "d": [[{"z": [4]}]]}}], [schema]) == [
        ToolCall("math.f", {"d": [{"z": 4}]})
    ]


def test_python_call_texts_are_read_without_running_them():
    assert parse_call("mv('a', destination=['b', -1])", {"mv": ["source", "destination"]}, "row") == ToolCall(
        "mv", {"source": "a", "destination": ["b", -1]}
    )
    for text in ("f(open('x'))", "1 + 1", "f(", "f(a=b)"):
        with pytest.raises(InputError, match="row: .* is not a call with literal arguments"):
            parse_call(text, {}, "row")


def test_a_row_that_is_none_is_named(tmp_path):
    path = tmp_path / "BFCL_v4_irrelevance.jsonl"
    path.write_text(json.dumps({"id": "irrelevance_1", "question": "What?"}) + "\n")
    with pytest.raises(InputError, match=r"irrelevance.jsonl:1: question is a string"):
        load_bfcl(path)
    path.write_text(json.dumps({"id": "i", "question": [[{"role": "user", "content": "?"}]], "function": [{}]}) + "\n")
    with pytest.raises(InputError, match=r"irrelevance.jsonl:1: tool schema"):
        load_bfcl(path)
