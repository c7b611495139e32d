"""mentor/endpoints/reply.py: what an endpoint's parsers made of a turn is read anew, and their misses are flagged."""

import pytest

from mentor.endpoints.reply import read_reply, returned
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


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}], "content": "3"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "3"},
            ]
        },
    ],
)
def test_reasoning_in_parts(message):
    assert (read_reply(message).reasoning, read_reply(message).content) == ("hm", "3")


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


@pytest.mark.parametrize(
    "text",
    [
        '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1}}]',
        'I add.[TOOL_CALLS]add{"a": 1}',
        '<function=add>{"a": 1}</function>',
        "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
        '<|python_tag|>{"name": "add", "parameters": {"a": 1}}',
        '{"name": "add", "parameters": {"a": 1}}',
        '```json\n[{"name": "add", "arguments": {"a": 1}}]\n```',
        '{"tool_calls": [{"function": {"name": "add"}}]}',
        "[add(a=1, b=2), now()]",
        "[now()]",
        '<|channel|>commentary to=functions.add<|message|>{"a": 1}<|call|>',
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 1}',
        '<｜DSML｜function_calls><｜DSML｜invoke name="add">',
        '<|tool_calls_section_begin|><|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>{"a": 1}',
        '<minimax:tool_call><invoke name="add">',
        '<|tool_call|>[{"name": "add"}]',
        '<TOOLCALL>[{"name": "add"}]</TOOLCALL>',
        "<start_function_call>call:add{a:1}<end_function_call>",
        '<|START_ACTION|>[{"tool_name": "add"}]<|END_ACTION|>',
        'functools[{"name": "add"}]',
        "```tool_code\nadd(1, 2)\n```",
    ],
)
def test_a_call_in_a_syntax_that_nobody_read_is_found(text):
    reply = read_reply({"content": f"<think>hm</think>{text}"})
    assert reply.unparsed and "unparsed_call" in reply.flags


@pytest.mark.parametrize(
    "message",
    [
        {"content": "I called a tool, then [1, 2] and f(x) = [g(x)]. \\boxed{3}"},
        {"content": '{"name": "Ada", "age": 36}'},
        {"content": "[see the tool calls](page) and `tool_calls`, a < b > c"},
        {"content": f"I add. {CALL}"},
        {"content": "<think><function=add></think>3"},
        {**call_message("add", {"a": 1}), "function_call": {"name": "add"}},
        {"content": "3", "function_call": None},
    ],
)
def test_text_that_is_no_call(message):
    assert read_reply(message).unparsed is None


def sent(message, first_call=0):
    return returned(message, read_reply(message), first_call)


def test_a_turn_is_returned_with_all_its_keys():
    given = {**listed(name="add", arguments='{"a":1}'), "role": "assistant", "reasoning": "hm", "audio": None, "x": [1]}
    assert sent(given) == given
    assert sent({**given, "role": None}) == given


def test_a_call_without_an_id_gets_one():
    given = listed(name="add", arguments="{}")
    del given["tool_calls"][0]["id"]
    assert sent(given, first_call=7)["tool_calls"][0]["id"] == "call00007"


def test_a_call_in_the_text_is_returned_as_a_listed_one():
    turn = sent(
        {"role": "assistant", "content": f"<think>hm</think>I add. {CALL}", "tool_calls": [], "reasoning": "so"}
    )
    (call,) = turn["tool_calls"]
    assert turn["content"] == "I add." and turn["reasoning"] == "so"
    assert call["function"] == {"name": "add", "arguments": '{"a": 1, "b": 2}'} and call["type"] == "function"


def test_what_cannot_be_sent_is_replaced():
    assert sent({**call_message("now", {}), "reasoning": "a\ud800b"})["reasoning"] == "a?b"
