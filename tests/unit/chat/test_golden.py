import json

from mentor.chat.golden import CONVERSATIONS, TOOLS, says, talk


def test_results_answer_the_calls_before_them_in_order():
    talked = talk("two", says("", ("add", {"a": 1}), ("search", {"query": "x"})), "1", "nothing", says("Done."))
    assert [message["role"] for message in talked.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert [(message["tool_call_id"], message["name"], message["content"]) for message in talked.messages[2:4]] == [
        ("call_0", "add", "1"),
        ("call_1", "search", "nothing"),
    ]
    assert says("Yes.", thinking="Hm.") == {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}


def test_every_conversation_has_a_name_ends_with_a_turn_and_calls_known_tools():
    tools = {tool["function"]["name"] for tool in json.loads(TOOLS)}
    assert len({talked.name for talked in CONVERSATIONS}) == len(CONVERSATIONS) > 25
    for talked in CONVERSATIONS:
        first = next(message for message in talked.messages if message["role"] != "system")
        assert first["role"] == "user" and talked.messages[-1]["role"] == "assistant"
        calls = [call for message in talked.messages for call in message.get("tool_calls", ())]
        results = [message for message in talked.messages if message["role"] == "tool"]
        assert {call["function"]["name"] for call in calls} <= tools and len(calls) == len(results)
        parallel = any(len(message.get("tool_calls", ())) > 1 for message in talked.messages)
        assert parallel == ("parallel_calls" in talked.needs)
