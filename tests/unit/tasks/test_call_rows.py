"""Rows whose gold is calls, in the published shapes."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks import load_tasks
from mentor.types import Task, ToolCall
from tests.unit.tasks.builders import refusal, write

STOCK = {
    "name": "stock",
    "description": "Pieces in a warehouse.",
    "parameters": {
        "type": "object",
        "properties": {"item": {"type": "string"}, "site": {"type": "string", "default": "Lund"}},
        "required": ["item"],
    },
}
ROPE = [{"name": "stock", "arguments": {"item": "rope"}}]
XLAM = {"id": 0, "query": "Rope?", "tools": json.dumps([STOCK]), "answers": json.dumps(ROPE)}


def load(tmp_path, *rows, name="calls", **options):
    return load_tasks(name, write(tmp_path, *rows), **options)


def test_xlam_rows(tmp_path):
    right, none = load(tmp_path, XLAM, {**XLAM, "id": 1, "answers": "[]"})
    assert (right.id, right.question, right.answer) == ("0", "Rope?", ())
    assert right.reference == (ToolCall("stock", {"item": "rope"}),)
    assert right.gold.accepted == [{"stock": {"item": ["rope"], "site": ["Lund", ""]}}]
    assert [schema["function"]["name"] for schema in right.tools.schemas] == ["stock"]
    assert (none.reference, none.gold.category) == ((), "irrelevance")
    for task in (right, none):
        assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_python_types_of_xlam_are_read(tmp_path):
    kinds = {
        "a": "str, optional",
        "b": "List[int]",
        "c": "Dict[str, float]",
        "d": "Union[int, str]",
        "e": "Optional[bool]",
    }
    tool = {"name": "f", "description": "", "parameters": {name: {"type": kind} for name, kind in kinds.items()}}
    (task,) = load(tmp_path, {**XLAM, "tools": json.dumps([tool]), "answers": "[]"})
    assert task.tools.schemas[0]["function"]["parameters"]["properties"] == {
        "a": {"type": "string"},
        "b": {"type": "array", "items": {"type": "integer"}},
        "c": {"type": "object"},
        "d": {},
        "e": {"type": "boolean"},
    }


SYSTEM = """Help the user.

**Available Tools**
1. Name: stock
Description: Pieces in a warehouse.
Parameters: {"item": {"description": "", "type": "str", "default": ""}}
2. Name: sites
Description: All sites.
Parameters: {}

**Steps** Think."""
TOOLRL = {
    "data_source": "rlla",
    "prompt": [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "**Dialogue Records History**\n<user> Rope and sites? </user>\n"},
    ],
    "reward_model": {
        "style": "rule",
        "ground_truth": "<think> x </think>\n<tool_call>\n"
        '{"name": "stock", "parameters": {"item": "rope"}}\n{"name": "sites", "parameters": {}}\n</tool_call>',
    },
}


def test_toolrl_rows(tmp_path):
    words = {"style": "rule", "ground_truth": "<think> x </think>\n<response> There is none. </response>"}
    several, none = load(tmp_path, TOOLRL, {**TOOLRL, "reward_model": words})
    assert several.question == "Rope and sites?"
    assert several.reference == (ToolCall("stock", {"item": "rope"}), ToolCall("sites", {}))
    assert [schema["function"]["name"] for schema in several.tools.schemas] == ["stock", "sites"]
    (system,) = several.earlier
    assert "Name: stock" not in system["content"] and system["content"].endswith("**Steps** Think.")
    assert none.gold.category == "irrelevance"


WEATHER = {"name": "Get Weather", "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}}}
ROME = ToolCall("Get Weather", {"city": "Rome"})


@pytest.mark.parametrize(
    "row",
    [
        {
            "system": f"You may call: {json.dumps([WEATHER])}",
            "conversations": [
                {"from": "user", "value": "Rome?"},
                {"from": "assistant", "value": '[Get Weather(city="Rome")]'},
                {"from": "tool", "value": "[]"},
                {"from": "assistant", "value": "Sunny."},
            ],
        },
        {
            "question": "Rome?",
            "correct_answer": "tool_call",
            "answers": {"tool_call": '{"name": "Get Weather", "arguments": {"city": "Rome"}}', "direct": "It rains."},
            "tools": [json.dumps(WEATHER)],
        },
        {
            "tools": [json.dumps(WEATHER)],
            "messages": [
                {"role": "user", "content": "Rome?"},
                {
                    "role": "assistant",
                    "content": '<TOOLCALL>[{"name": "Get Weather", "arguments": {"city": "Rome"}}]</TOOLCALL>',
                },
            ],
        },
        {
            "instruction": 'APIs: {"name": "Get Weather", "description": "", '
            '"input_parameters": {"city": {"type": "str"}}}',
            "input": "Rome?",
            "output": "API-Request: [Get Weather(city='Rome')]",
        },
        {"query": "Rome?", "tools": [WEATHER], "answers": {"name": "Get Weather", "arguments": {"city": "Rome"}}},
    ],
    ids=["toolace", "when2call", "when2call for sft", "api-bank", "one call"],
)
def test_other_shapes(tmp_path, row):
    (task,) = load(tmp_path, row)
    assert (task.question, task.reference, task.gold.category) == ("Rome?", (ROME,), "multiple")
    assert [schema["function"]["name"] for schema in task.tools.schemas] == ["Get Weather"]


def test_an_answer_in_words_is_no_call(tmp_path):
    row = {"question": "q", "correct_answer": "cannot_answer", "answers": {"cannot_answer": "No."}, "tools": [WEATHER]}
    (task,) = load(tmp_path, row)
    assert (task.reference, task.gold.category) == ((), "irrelevance")


def test_any_kind_of_row_is_judged_by_the_calls_of_a_named_column(tmp_path):
    columns = {"question": "info.ask", "calls": "info.right", "tools": "own"}
    row = {"info": {"ask": "Rope?", "right": ROPE}, "own": [STOCK]}
    for name in ("jsonl", "math", "multihop_qa", "rl_rows", "calls"):
        (task,) = load(tmp_path, row, name=name, columns=columns)
        assert task.reference == (ToolCall("stock", {"item": "rope"}),) and task.answer == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": None}, "rows.jsonl:1: no right calls, given: "),
        ({"answers": '[{"name": "cord", "arguments": {}}]'}, "a right call is of 'cord', and the tools are stock"),
        ({"answers": "[stock(item=)]"}, "answers is a string"),
        ({"answers": [3]}, "answers[0] is a number (3)"),
        ({"tools": "no"}, "tools is not JSON"),
        ({"query": " "}, "query is empty"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, change, message):
    assert message in refusal(tmp_path, {**XLAM, **change}, name="calls")
    with pytest.raises(InputError, match="no question, given: 'a'"):
        load(tmp_path, {"a": 1})
