"""A trace: ordered, with ids, without what nobody answers at its end."""

import pytest

from mentor.chat.conversation import ConversationError
from mentor.traces.reading import read_messages
from mentor.traces.trace import TraceError, make_trace

CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "now"}}, {"id": "c7", "function": {"name": "then"}}]}


def made(*entries):
    return make_trace(read_messages([{"role": "user", "content": "?"}, *entries]), None)


def test_calls_without_an_id_get_one_that_their_results_name():
    results = [{"role": "tool", "content": "noon"}, {"role": "tool", "content": "one"}]
    trace = made(CALL, *results, {"role": "assistant", "content": "Noon."})
    assert [call["id"] for call in trace.messages[1]["tool_calls"]] == ["call_0", "c7"]
    assert [message["tool_call_id"] for message in trace.messages[2:4]] == ["call_0", "c7"]
    assert [call["name"] for call in trace.calls] == ["now", "then"] and "id" not in CALL["tool_calls"][0]


def test_what_nobody_answers_at_the_end_is_left_out_but_results_stay():
    trace = made({"role": "assistant", "content": "Noon."}, {"role": "user", "content": "###STOP###"})
    assert [message["role"] for message in trace.messages] == ["user", "assistant"]
    trace = made(
        CALL, {"role": "tool", "content": "noon"}, {"role": "tool", "content": "one"}, {"role": "user", "content": "!"}
    )
    assert [message["role"] for message in trace.messages] == ["user", "assistant", "tool", "tool"]


def test_numbers_are_those_of_the_row_where_messages_are_joined():
    text = {"role": "assistant", "content": "Both."}
    with pytest.raises(ConversationError, match=r"has no result before message 5 \(user\)"):
        made(text, CALL, {"role": "tool", "content": "noon"}, {"role": "user", "content": "?"}, text)


def test_an_empty_one_and_one_without_a_turn_to_train_are_refused():
    with pytest.raises(TraceError) as caught:
        make_trace([], None)
    assert caught.value.reason == "empty"
    with pytest.raises(TraceError, match="all messages of the assistant have weight 0"):
        made({"role": "assistant", "content": "x", "weight": 0})
