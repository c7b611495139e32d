"""ms-swift's rows: a message for each call, and the older query and response."""

import json

from mentor.traces.forms import detect, ms_swift

ROW = {
    "messages": [
        {"role": "system", "content": "You look after a shed."},
        {"role": "user", "content": "Ropes and cords?"},
        {"role": "tool_call", "content": '{"name": "stock", "arguments": {"item": "rope"}}'},
        {"role": "tool_call", "content": '{"name": "stock", "arguments": {"item": "cord"}}'},
        {"role": "tool_response", "content": "12"},
        {"role": "tool_response", "content": "5"},
        {"role": "assistant", "content": "12 and 5.", "loss": True},
    ],
    "tools": json.dumps([{"type": "function", "function": {"name": "stock", "parameters": {"type": "object"}}}]),
}


def test_calls_and_results_in_messages_of_their_own():
    trace = ms_swift.FORM.read(ROW)
    assert detect([ROW]) is ms_swift.FORM
    assert [message["role"] for message in trace.messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
    ]
    assert [message["content"] for message in trace.messages[3:5]] == ["12", "5"] and len(trace.calls) == 2


def test_query_and_response_with_a_history():
    row = {"system": "Be brief.", "history": [["Hello?", "Hi."]], "query": "And?", "response": "So."}
    trace = ms_swift.FORM.read(row)
    assert detect([row]) is ms_swift.FORM and trace.tools is None
    assert [message["content"] for message in trace.messages] == ["Be brief.", "Hello?", "Hi.", "And?", "So."]
