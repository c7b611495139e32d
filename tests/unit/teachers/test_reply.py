"""mentor/teachers/reply.py: what an endpoint's parsers made of a turn is read anew, and their misses are flagged."""

import pytest

from mentor.teachers.reply import read_reply
from tests.fixtures.openai_server import call_message

CALL = '<tool_call>{"name": "add", "arguments": {"a": 1, "b": 2}}</tool_call>'


def listed(**function):
    return {"content": None, "tool_calls": [{"id": "x", "type": "function", "function": function}]}


def test_a_call_the_endpoint_lists():
    reply = read_reply({**call_message("add", {"a": 1, "b": 2}), "content": "Let me add."})
    assert [(call.name, call.arguments, call.problem) for call in reply.calls] == [("add", {"a": 1, "b": 2}, None)]
    assert reply.content == "Let me add." and reply.flags == ()


def test_a_call_left_in_the_text_is_taken_and_flagged():
    reply = read_reply({"content": f"I add. {CALL}", "tool_calls": []})
    assert [(call.name, call.arguments) for call in reply.calls] == [("add", {"a": 1, "b": 2})]
    assert reply.content == "I add." and reply.flags == ("call_in_text",)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_a_call_inside_reasoning_is_no_call_and_is_flagged(key):
    reply = read_reply({"content": "The answer is 3.", key: f"I could {CALL}"})
    assert reply.calls == () and reply.flags == ("call_in_reasoning",)
    assert reply.reasoning.startswith("I could") and reply.content == "The answer is 3."


def test_reasoning_left_in_the_text_is_split_off():
    reply = read_reply({"content": f"<think>hm {CALL}</think>\n\nSo 3."})
    assert (reply.content, reply.calls, reply.flags) == ("So 3.", (), ("call_in_reasoning",))
    assert reply.reasoning == f"hm {CALL}"


def test_what_the_endpoint_lists_counts_where_the_text_repeats_it():
    reply = read_reply({**call_message("add", {"a": 1, "b": 2}), "content": CALL})
    assert len(reply.calls) == 1 and reply.content == "" and reply.flags == ("call_in_text",)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (listed(name="add", arguments='{"a": 1,'), "not valid JSON"),
        (listed(name="add", arguments='{"a": NaN}'), "not valid JSON"),
        (listed(name="add", arguments='{"a": 1e999}'), "not valid JSON"),
        (listed(name="add", arguments='{"a": "\\ud800"}'), "not valid JSON"),
        (listed(name="add", arguments="[1]"), '"arguments" is a JSON object, got list'),
        (listed(name="", arguments="{}"), 'a call needs "name"'),
        (listed(arguments="{}"), 'a call needs "name"'),
        ({"tool_calls": ["add"]}, 'a call needs "name"'),
        ({"content": "<tool_call>{"}, "not closed"),
    ],
)
def test_a_malformed_call_is_data(message, problem):
    reply = read_reply(message)
    assert problem in reply.calls[0].problem and "malformed_call" in reply.flags


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({}, ""),
        ({"content": 5}, ""),
        ({"content": "a\ud800b"}, "a?b"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, "c"]}, "ab"),
        ({"content": "x", "tool_calls": None, "reasoning": None}, "x"),
        ({"content": "x", "tool_calls": "no list"}, "x"),
    ],
)
def test_odd_messages(message, content):
    assert read_reply(message).content == content and read_reply(message).calls == ()


def test_arguments_may_be_an_object_or_absent():
    assert read_reply(listed(name="add", arguments={"a": 1})).calls[0].arguments == {"a": 1}
    assert (
        read_reply(listed(name="now")).calls[0].arguments
        == {}
        == read_reply(listed(name="n", arguments="")).calls[0].arguments
    )
