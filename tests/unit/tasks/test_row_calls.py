"""Calls of a row as lists, JSON text and assistants' texts."""

import pytest

from mentor.errors import InputError
from mentor.tasks.row_calls import read_calls, said_calls
from mentor.types import ToolCall

ONE = (ToolCall("f", {"a": 1}),)
JSON = '{"name": "f", "arguments": {"a": 1}}'


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        ([{"name": "f", "arguments": {"a": 1}}], ONE),
        ([{"name": "f", "parameters": {"a": 1}}], ONE),
        ({"function": {"name": "f", "arguments": '{"a": 1}'}}, ONE),
        (f"[{JSON}]", ONE),
        (JSON, ONE),
        ("[f(a=1)]", ONE),
        ("API-Request: [f(a=1)]", ONE),
        (f"<tool_call>{JSON}</tool_call>", ONE),
        (f"<think>x</think><tool_call>\n{JSON}\n{JSON}\n</tool_call>", ONE * 2),
        (f"<TOOLCALL>[{JSON}, {JSON}]</TOOLCALL>", ONE * 2),
        ("[]", ()),
        ([], ()),
        ("Which city?", ()),
    ],
)
def test_right_calls(value, calls):
    assert said_calls(value, "f:1") == calls


@pytest.mark.parametrize("value", [None, 3, "[f(a=)]", "<tool_call>{</tool_call>", '[{"a": 1}]'])
def test_what_holds_no_calls_is_refused(value):
    with pytest.raises(InputError, match="^f:1 is "):
        said_calls(value, "f:1")


def test_a_reference_may_be_absent():
    assert read_calls(None, "f:1") is read_calls("null", "f:1") is None
