"""Glaive's conversations as one text."""

import json

import pytest

from mentor.traces.forms import detect, glaive_text
from mentor.traces.trace import TraceError

TOOL = {
    "name": "mix",
    "description": "Mix paint.",
    "parameters": {"type": "object", "properties": {"parts": {"type": "array"}}},
}
ROW = {
    "system": f"SYSTEM: You are helpful, with these functions. Use them if required -\n{json.dumps(TOOL, indent=4)}\n",
    "chat": (
        "USER: Mix red and blue.\n\n\n"
        """ASSISTANT: Now. <functioncall> {"name": "mix", "arguments": '{"parts": ["red", "blue"]}'} <|endoftext|>"""
        "\n\n\n"
        'FUNCTION RESPONSE: {"paint": "violet"}\n\n\n'
        "ASSISTANT: It is violet.\nUSER is what I call you. <|endoftext|>\n\n\n"
        "USER: Thanks.\n\n\nASSISTANT: Gladly. <|endoftext|>\n\n\n"
    ),
}


def test_speakers_calls_and_results():
    trace = glaive_text.FORM.read(ROW)
    assert detect([ROW]) is glaive_text.FORM
    assert [(message["role"], message["content"]) for message in trace.messages] == [
        ("system", "You are helpful, with these functions. Use them if required -"),
        ("user", "Mix red and blue."),
        ("assistant", "Now."),
        ("tool", '{"paint": "violet"}'),
        ("assistant", "It is violet.\nUSER is what I call you."),
        ("user", "Thanks."),
        ("assistant", "Gladly."),
    ]
    assert trace.calls == [{"name": "mix", "arguments": {"parts": ["red", "blue"]}}]
    assert [tool["function"]["name"] for tool in trace.tools] == ["mix"]


def test_all_in_one_column_and_without_tools():
    text = (
        "SYSTEM: You have no functions.\n\n\n"
        + ROW["chat"].split("\n\n\n")[0]
        + "\n\n\nASSISTANT: I cannot. <|endoftext|>"
    )
    trace = glaive_text.FORM.read({"sample": text})
    assert trace.tools is None and [m["role"] for m in trace.messages] == ["system", "user", "assistant"]


@pytest.mark.parametrize("row", [{"chat": "Hello. USER: x"}, {"chat": ""}, {}])
def test_a_text_without_speakers_is_refused(row):
    with pytest.raises(TraceError):
        glaive_text.FORM.read(row)
