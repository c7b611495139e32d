"""Requests of clients: what is accepted, in one line what is not, and the conversation they hold."""

import json
from typing import Any

import pytest

from mentor.serving.api_requests import BadRequest, Message, conversation, read_request

USER = {"role": "user", "content": "What is 2 plus 3?"}


def called(*ids: str) -> dict[str, Any]:
    calls = [{"id": i, "type": "function", "function": {"name": f"f{i}", "arguments": '{"a": 1}'}} for i in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(call_id: str, text: str = "5") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def read(*messages: dict[str, Any]):
    return conversation([Message(**message) for message in messages])


def body(**more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [USER], **more}).encode()


def test_what_clients_send_by_habit_is_accepted():
    habits = {"n": 1, "stop": None, "tool_choice": "auto", "user": "me", "presence_penalty": 0, "store": False}
    asked = read_request(body(**habits, max_tokens=9, max_completion_tokens=5, parallel_tool_calls=True))
    assert asked.turn_tokens == 5 and asked.task_tools() is None
    assert read_request(body()).turn_tokens is None


@pytest.mark.parametrize(
    ("more", "said", "param"),
    [
        ({"n": 2}, "`n`: Input should be 1, got 2", "n"),
        ({"stop": "x"}, '`stop`: Input should be null, got "x"', "stop"),
        ({"tool_choice": "required"}, "`tool_choice`: Input should be 'auto'", "tool_choice"),
        ({"temperature": 3}, "`temperature`: Input should be less than or equal to 2, got 3", "temperature"),
        ({"presence_penalty": 1}, "`presence_penalty`: Input should be less than or equal to 0", "presence_penalty"),
        ({"best_of": 2}, "`best_of` is not known; accepted: model, messages", None),
        ({"messages": []}, "`messages`: List should have at least 1 item", "messages"),
        (
            {"messages": [{"role": "bot"}]},
            "`messages.0.role`: Input should be 'system', 'developer'",
            "messages.0.role",
        ),
    ],
)
def test_what_is_not_accepted_is_named(more: dict[str, Any], said: str, param: str | None):
    with pytest.raises(BadRequest) as refused:
        read_request(body(**more))
    assert str(refused.value).startswith(said) and refused.value.param == param


def test_no_json_and_tools_that_are_none():
    with pytest.raises(BadRequest, match="Invalid JSON"):
        read_request(b"{")
    with pytest.raises(BadRequest, match=r"tools\[1\]: tool schema .* is not one"):
        read_request(body(tools=[{"name": "f"}, {"type": "function"}])).task_tools()
    assert read_request(body(tools=[])).task_tools() is not None


def test_a_conversation_is_split_at_the_last_question_with_results_in_order():
    system, first = (
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief"}]},
        USER,
    )
    said = read(
        system, first, {"role": "assistant", "content": "5"}, USER, called("x", "y"), result("y", "2"), result("x", "1")
    )
    assert [m["role"] for m in said.earlier] == ["system", "user", "assistant"]
    assert said.earlier[0]["content"] == "Be brief" and said.question == USER["content"]
    turn, *results = said.begun
    assert turn["tool_calls"][0]["function"] == {"name": "fx", "arguments": {"a": 1}} and turn["content"] == ""
    assert [(m["name"], m["content"]) for m in results] == [("fx", "1"), ("fy", "2")]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([USER, {"role": "assistant", "content": "5"}], "the last is the assistant's; accepted: a user's or a tool's"),
        ([{"role": "user", "content": "a"}, called("x", "y"), result("x")], "call 2, 'fy' .* has no result"),
        ([USER, result("x")], "is a result, and no call stands before it"),
        ([USER, called("x"), result("z")], "answers call 'z', which message 2 does not make"),
    ],
)
def test_an_order_that_no_turn_can_follow_is_refused(messages: list[dict[str, Any]], said: str):
    with pytest.raises(BadRequest, match=said):
        read(*messages)


def test_arguments_that_are_no_object_are_refused():
    broken = called("x")
    broken["tool_calls"][0]["function"]["arguments"] = "[1]"
    with pytest.raises(BadRequest, match=r"`messages.1`: the arguments of fx are '\[1\]'; accepted: a JSON object"):
        read(USER, broken, result("x"))
