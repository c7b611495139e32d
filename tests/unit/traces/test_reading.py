"""Messages of every form's names and shapes in the one shape; each is read rightly or refused by number and role."""

import pytest

from mentor.chat.conversation import ConversationError
from mentor.traces.reading import read_messages, text_of
from mentor.traces.trace import TraceError


def read(*entries, **options):
    return [entry.message for entry in read_messages(list(entries), **options)]


def test_roles_by_any_of_their_names():
    entries = [
        {"role": "developer", "content": "Be brief."},
        {"from": "human", "value": "Hello?"},
        {"from": "GPT", "value": "Hi."},
        {"from": "function_call", "value": '{"name": "now", "arguments": {}}'},
        {"from": "observation", "value": "noon"},
    ]
    said = read(*entries)
    assert [message["role"] for message in said] == ["system", "user", "assistant", "tool"]
    assert said[2] == {
        "role": "assistant",
        "content": "Hi.",
        "tool_calls": [{"type": "function", "function": {"name": "now", "arguments": {}}}],
    }, "text and the call that follows it are one turn"


def test_one_message_for_each_call_is_one_turn():
    call = {"role": "tool_call", "content": '{"name": "now", "arguments": "{}"}'}
    assert len(read({"role": "user", "content": "?"}, call, call)[1]["tool_calls"]) == 2
    both = {"role": "function_call", "content": '[{"name": "now"}, {"name": "then"}]'}
    assert [call["function"]["name"] for call in read(both)[0]["tool_calls"]] == ["now", "then"]


def test_ids_and_unknown_keys_are_kept_and_nulls_are_not():
    calls = [{"id": "c9", "type": "function", "function": {"name": "now", "arguments": '{"at": null}'}}]
    turn, reply = read(
        {"role": "assistant", "content": None, "tool_calls": calls, "function_call": None, "model": "m-1"},
        {"role": "tool", "tool_call_id": "c9", "content": [{"type": "text", "text": "noon"}], "name": None},
    )
    assert turn["model"] == "m-1" and turn["content"] == "" and "function_call" not in turn
    assert turn["tool_calls"][0] == {
        "id": "c9",
        "type": "function",
        "function": {"name": "now", "arguments": {"at": None}},
    }
    assert reply == {"role": "tool", "tool_call_id": "c9", "content": "noon"}


def test_legacy_function_calls():
    turn, reply = read(
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": ""}},
        {"role": "function", "name": "now", "content": {"h": 12}},
    )
    assert turn["tool_calls"][0]["function"] == {"name": "now", "arguments": {}}
    assert reply == {"role": "tool", "name": "now", "content": '{"h": 12}'}


def test_reasoning_stands_beside_the_text_or_in_it():
    assert read({"role": "assistant", "content": "5.", "reasoning": "2+3"})[0]["reasoning_content"] == "2+3"
    turn = read({"from": "gpt", "value": '<think>Hm.</think>\n<tool_call>{"name": "now"}</tool_call>'})[0]
    assert (turn["reasoning_content"], turn["content"], len(turn["tool_calls"])) == ("Hm.", "", 1)


def test_weights_and_losses():
    turns = read(
        {"role": "assistant", "content": "a", "weight": 0},
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "b", "loss": False},
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "c", "weight": 1},
    )
    assert [turn.get("weight") for turn in turns[::2]] == [0, 0, None]


def test_contents_in_parts_nested_or_not():
    assert text_of([{"type": "text", "text": "a"}, [{"text": {"value": "b"}}], "c", None]) == "abc"
    assert text_of({"type": "output_text", "text": "x"}) == "x" and text_of(None) == ""


@pytest.mark.parametrize(
    ("entry", "reason", "said"),
    [
        ({"role": "oracle", "content": "x"}, "unknown_role", r"message 2 \(oracle\): no known role"),
        ({"content": "x"}, "unknown_role", r"message 2 \(None\)"),
        ("hm", "unreadable", r"message 2 \(None\): is a string"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": "u"}]},
            "content",
            r"message 2 \(user\): has a part of",
        ),
        ({"role": "user", "content": 3}, "content", r"message 2 \(user\): content is a number \(3\)"),
        ({"role": "assistant", "content": None}, "content", r"message 2 \(assistant\): says nothing and calls nothing"),
        ({"role": "assistant", "tool_calls": {"a": 1}}, "malformed_call", "tool_calls are an object"),
        ({"role": "assistant", "tool_calls": [{"id": "x"}]}, "malformed_call", "is no call with a name"),
        (
            {"role": "function_call", "content": "now()"},
            "malformed_call",
            r"message 2 \(function_call\): call is not JSON",
        ),
        (
            {"role": "gpt", "content": "<tool_call>now"},
            "malformed_call",
            r"message 2 \(gpt\): <tool_call> is not closed",
        ),
    ],
)
def test_what_cannot_be_read_names_the_message_and_its_role(entry, reason, said):
    with pytest.raises(ConversationError, match=said) as caught:
        read({"role": "user", "content": "?"}, entry)
    assert caught.value.reason == reason


def test_a_conversation_is_a_list():
    with pytest.raises(TraceError, match="the conversation is null, accepted: a list of messages"):
        read_messages(None)


def test_a_system_text_beside_the_list_comes_first():
    assert read({"role": "user", "content": "?"}, system="Be brief.")[0] == {"role": "system", "content": "Be brief."}


def test_tagged_results_in_a_turn_of_the_user_are_results_after_a_call_only():
    said = {"role": "user", "content": "<tool_response>\n9\n</tool_response>"}
    call = {"role": "assistant", "content": '<tool_call>{"name": "now"}</tool_call>'}
    assert [m["role"] for m in read(said, call, said)] == ["user", "assistant", "tool"]
