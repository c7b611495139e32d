"""Calls in the syntaxes of chat templates."""

import time

import pytest

from mentor.chat import ParsedCall, parse_turn
from mentor.chat.syntax import HERMES, LLAMA

BARE = '{"name": "add", "parameters": {"a": 1, "b": 2}}'
ADD = ParsedCall("add", {"a": 1, "b": 2})


def tagged(arguments: str) -> str:
    return f'<tool_call>\n{{"name": "add", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize("syntax", [HERMES, LLAMA])
@pytest.mark.parametrize(
    "piece",
    ["<tool_call>", '<tool_call>{"</tool_call>",', '<tool_call>{"a":{"a":', '{"name":"', "<think><tool_call>", " \n"],
)
def test_a_turn_of_many_broken_calls_is_read_in_bounded_time(piece, syntax):
    began = time.process_time()
    parse_turn(piece * 3000, syntax)
    assert time.process_time() - began < 2


def test_hermes_calls_are_found_with_the_characters_that_spell_them():
    text = f"Look: {tagged('{}')} and </tool_call>"
    first, second = HERMES.find(text)
    assert text[first.start : first.end] == tagged("{}") and text[second.start : second.end] == "</tool_call>"
    assert (first.call, second.call.problem) == (ParsedCall("add", {}), "</tool_call> without <tool_call>")


def test_a_mention_is_what_a_call_begins_with():
    assert len(HERMES.mention.findall("<tool_call> or <tool_call>{}</tool_call>")) == 2
    assert len(LLAMA.mention.findall(f"{BARE} {{}}")) == 1
