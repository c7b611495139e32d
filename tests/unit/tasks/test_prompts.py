"""Prompts as text and as messages."""

import json

import pytest

from mentor.errors import InputError
from mentor.tasks.prompts import read_prompt

SYSTEM = {"role": "system", "content": "Be brief."}
ASKED = {"role": "user", "content": "And 2?"}


def test_a_prompt_is_text_or_messages_that_end_with_the_users():
    assert read_prompt("[1, 2] sorted?", "f:1", "prompt") == ((), "[1, 2] sorted?")
    assert read_prompt([SYSTEM, ASKED], "f:1", "prompt") == ((SYSTEM,), "And 2?")
    assert read_prompt(json.dumps([SYSTEM, ASKED, ASKED]), "f:1", "prompt") == ((SYSTEM,), "And 2?\n\nAnd 2?")


def test_earlier_turns_are_kept_with_their_calls():
    call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    turns = [
        {"role": "user", "content": "1?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "assistant", "content": "One."},
    ]
    earlier, question = read_prompt([*turns, ASKED], "f:1", "prompt")
    assert [message["role"] for message in earlier] == ["user", "assistant", "tool", "assistant"]
    assert earlier[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1} and question == "And 2?"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"f:1: prompt is a number \(3\), accepted: text, or a list"),
        (" ", "f:1: prompt is empty, accepted: a string with text"),
        ([], r"f:1: prompt is a list"),
        ([SYSTEM], r"f:1: prompt: the last message is of the system"),
        ([ASKED, {"role": "judge", "content": "x"}], r"f:1: prompt: message 2 \(judge\): no known role"),
    ],
)
def test_a_prompt_without_a_question_is_refused(value, message):
    with pytest.raises(InputError, match=message):
        read_prompt(value, "f:1", "prompt")
