"""ShareGPT with the roles function_call and observation."""

import json

from mentor.traces.forms import detect, llama_factory

ROW = {
    "conversations": [
        {"from": "human", "value": "Ropes?"},
        {
            "from": "function_call",
            "value": '[{"name": "stock", "arguments": {"item": "rope"}}, {"name": "now", "arguments": {}}]',
        },
        {"from": "observation", "value": '["12", {"hour": 9}]'},
        {"from": "gpt", "value": "12."},
        {"from": "human", "value": "Cords?"},
        {"from": "function_call", "value": '{"name": "stock", "arguments": {"item": "cord"}}'},
        {"from": "observation", "value": "5"},
        {"from": "gpt", "value": "5."},
    ],
    "system": "You look after a shed.",
    "tools": json.dumps(
        [{"name": name, "description": "", "parameters": {"type": "object"}} for name in ("stock", "now")]
    ),
}


def test_several_turns_of_the_user_and_several_calls_in_one_message():
    trace = llama_factory.FORM.read(ROW)
    assert detect([ROW]) is llama_factory.FORM
    roles = ["system", "user", "assistant", "tool", "tool", "assistant", "user", "assistant", "tool", "assistant"]
    assert [message["role"] for message in trace.messages] == roles
    assert [m["content"] for m in trace.messages if m["role"] == "tool"] == ["12", '{"hour": 9}', "5"]
    assert [call["name"] for call in trace.calls] == ["stock", "now", "stock"]
    assert [tool["function"]["name"] for tool in trace.tools] == ["stock", "now"]
