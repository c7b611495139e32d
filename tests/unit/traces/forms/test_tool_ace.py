"""ToolACE: calls as Python, and their results in one list."""

import json

from mentor.traces.forms import detect, share_gpt, tool_ace

TOOLS = [
    {
        "name": "Find Ferry",
        "description": "Ferries from a port.",
        "parameters": {
            "type": "dict",
            "properties": {"port": {"type": "string"}, "seats": {"type": "int"}},
            "required": ["port"],
        },
        "required": None,
    },
    {"name": "now", "description": "The time.", "parameters": {"type": "dict", "properties": {}, "required": []}},
]
ROW = {
    "system": f"You compose functions. These you can invoke:\n{json.dumps(TOOLS)}\nPut calls as [func(name=value)].",
    "conversations": [
        {"from": "user", "value": "A ferry from Cork for two?"},
        {"from": "assistant", "value": '[Find Ferry(port="Cork", seats=2), now()]'},
        {
            "from": "tool",
            "value": '[{"name": "Find Ferry", "results": {"at": "10:15"}}, {"name": "now", "results": "9:00"}]',
        },
        {"from": "assistant", "value": "One leaves at 10:15."},
    ],
}


def test_a_row():
    trace = tool_ace.FORM.read(ROW)
    assert detect([ROW]) is tool_ace.FORM
    assert (
        trace.messages[0]["content"]
        == "You compose functions. These you can invoke:\n\nPut calls as [func(name=value)]."
    )
    assert trace.calls == [
        {"name": "Find Ferry", "arguments": {"port": "Cork", "seats": 2}},
        {"name": "now", "arguments": {}},
    ]
    assert [(m["name"], m["content"]) for m in trace.messages if m["role"] == "tool"] == [
        ("Find Ferry", '{"at": "10:15"}'),
        ("now", "9:00"),
    ]
    assert trace.tools[0]["function"]["parameters"]["properties"]["seats"] == {"type": "integer"}


def test_a_list_in_an_answer_of_another_form_is_text():
    row = {"conversations": [{"from": "human", "value": "?"}, {"from": "gpt", "value": "[see(also=1)]"}]}
    assert detect([row]) is share_gpt.FORM and share_gpt.FORM.read(row).calls == []
