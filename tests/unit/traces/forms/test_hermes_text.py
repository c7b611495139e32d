"""ShareGPT whose calls, results and tools stand in tags."""

from mentor.traces.forms import detect, hermes_text

PARAMETERS = '{"type": "object", "properties": {"port": {"type": "string"}}}'
TOOL = f'{{"type": "function", "function": {{"name": "tide", "description": "When.", "parameters": {PARAMETERS}}}}}'
ROW = {
    "id": "7",
    "conversations": [
        {"from": "system", "value": f"You call functions.\n<tools> [{TOOL}] </tools>\nWrite <tool_call> tags."},
        {"from": "human", "value": "High water in Brest and Cork?"},
        {
            "from": "gpt",
            "value": "<tool_call>\n{'arguments': {'port': 'Brest'}, 'name': 'tide'}\n</tool_call>\n"
            '<tool_call>\n{"arguments": {"port": "Cork"}, "name": "tide"}\n</tool_call>',
        },
        {
            "from": "tool",
            "value": '<tool_response>\n{"name": "tide", "content": {"at": "4:10"}}\n</tool_response>\n'
            '<tool_response>\n{"name": "tide", "content": {"at": "5:30"}}\n</tool_response>',
        },
        {"from": "gpt", "value": "At 4:10 and at 5:30."},
    ],
}


def test_a_row_with_tools_in_its_system_text():
    trace = hermes_text.FORM.read(ROW)
    assert detect([ROW]) is hermes_text.FORM
    system, user, turn, first, second, last = trace.messages
    assert system["content"] == "You call functions.\n\nWrite <tool_call> tags." and user["role"] == "user"
    assert [call["arguments"] for call in trace.calls] == [{"port": "Brest"}, {"port": "Cork"}] and turn[
        "content"
    ] == ""
    assert (first["content"], second["content"], first["name"]) == ('{"at": "4:10"}', '{"at": "5:30"}', "tide")
    assert last == {"role": "assistant", "content": "At 4:10 and at 5:30."}
    assert trace.tools[0]["function"]["name"] == "tide"
