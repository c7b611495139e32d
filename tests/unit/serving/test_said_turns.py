"""Turns that clients send back are found as they were sampled, unless they say another thing."""

from typing import Any

from mentor.serving.said_turns import SaidTurns


def turn(name: str = "add", call_id: str = "call_0", **more: Any) -> dict[str, Any]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": {"a": 1}}}
    return {"role": "assistant", "content": "", "tool_calls": [call], **more}


def test_a_turn_is_recalled_without_its_thinking_and_not_when_changed():
    said = SaidTurns()
    said.keep(turn(reasoning_content="hm"), [5, 6])
    assert said.recall(turn()) == [5, 6] and said.recall(turn(content=None)) == [5, 6]
    assert said.recall(turn("subtract")) is None and said.recall(turn(content="x")) is None
    assert said.recall(turn(call_id="call_1")) is None and said.recall({"role": "assistant", "content": ""}) is None


def test_the_oldest_is_forgotten():
    said = SaidTurns(limit=2)
    for number in range(3):
        said.keep(turn(call_id=f"call_{number}"), [number])
    assert [said.recall(turn(call_id=f"call_{number}")) for number in range(3)] == [None, [1], [2]]
