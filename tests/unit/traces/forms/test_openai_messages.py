"""Rows for OpenAI's fine-tuning, and logs of agents."""

import json

import pytest

from mentor.chat.conversation import ConversationError
from mentor.traces.forms import detect, openai_messages
from mentor.traces.forms.openai_messages import read

PARAMETERS = {"type": "object", "properties": {"item": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "stock", "parameters": PARAMETERS}}]


def call(item, given):
    return {"id": given, "type": "function", "function": {"name": "stock", "arguments": json.dumps({"item": item})}}


ROW = {
    "messages": [
        {"role": "system", "content": "You look after a shed."},
        {"role": "user", "content": [{"type": "text", "text": "Ropes "}, {"type": "text", "text": "and cords?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call("rope", "x"), call("cord", "y")], "weight": 0},
        {"role": "tool", "tool_call_id": "y", "content": "5"},
        {"role": "tool", "tool_call_id": "x", "content": "12"},
        {"role": "assistant", "content": "12 ropes, 5 cords.", "weight": 1},
    ],
    "tools": TOOLS,
    "parallel_tool_calls": True,
}


def test_a_row_for_fine_tuning():
    trace = read(ROW)
    assert detect([ROW]) is openai_messages.FORM
    assert [message["role"] for message in trace.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert trace.messages[1]["content"] == "Ropes and cords?" and trace.messages[2]["weight"] == 0
    assert [(m["tool_call_id"], m["content"]) for m in trace.messages[3:5]] == [("x", "12"), ("y", "5")]
    assert [tool["function"]["name"] for tool in trace.tools] == ["stock"]
    assert trace.calls == [
        {"name": "stock", "arguments": {"item": "rope"}},
        {"name": "stock", "arguments": {"item": "cord"}},
    ]


def test_a_row_of_legacy_functions():
    row = {
        "messages": [
            {"role": "user", "content": "Ropes?"},
            {"role": "assistant", "content": None, "function_call": {"name": "stock", "arguments": '{"item": "rope"}'}},
            {"role": "function", "name": "stock", "content": "12"},
            {"role": "assistant", "content": "12."},
        ],
        "functions": [{"name": "stock", "description": "Pieces.", "parameters": PARAMETERS}],
    }
    trace = read(row)
    assert trace.messages[2] == {"role": "tool", "name": "stock", "content": "12", "tool_call_id": "call_0"}
    assert trace.tools[0]["function"]["description"] == "Pieces."


def test_the_column_may_have_another_name_and_a_conversation_may_end_with_its_calls():
    row = {"conversations": ROW["messages"][:3], "tools": TOOLS}
    assert openai_messages.fits(row) and "tool_calls" in read({**row, "conversations": unweighted()}).messages[-1]


def unweighted():
    return [{k: v for k, v in message.items() if k != "weight"} for message in ROW["messages"][:3]]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            ROW["messages"][:4],
            r"message 3 \(assistant\): call 1, 'stock' \(id x\), has no result and others of its turn have",
        ),
        ([*ROW["messages"][:4], ROW["messages"][3]], r"message 5 \(tool\): is a second result of call 2"),
        (
            [*ROW["messages"][:3], ROW["messages"][5]],
            r"message 3 \(assistant\): call 1, .* has no result before message 6",
        ),
        ([ROW["messages"][1]], r"message 1 \(user\): is the last, none is assistant"),
    ],
)
def test_what_makes_no_sense_is_refused(messages, said):
    with pytest.raises(ConversationError, match=said.replace("message 6", "message 4")):
        read({"messages": messages, "tools": TOOLS})
