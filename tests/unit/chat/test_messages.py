from mentor.chat import ParsedCall, assistant_message
from mentor.chat.messages import make_call


def test_a_call_is_numbered_in_its_id():
    call = {"id": "call_3", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    assert make_call("add", {"a": 1}, 3) == call


def test_a_turn_has_keys_for_what_it_holds_alone():
    assert assistant_message("Yes.", "", (), 0) == {"role": "assistant", "content": "Yes."}
    calls = (ParsedCall("add", {"a": 1}), ParsedCall(None, {}, "not valid JSON"))
    message = assistant_message("", "Hm.", calls, 2)
    assert message["reasoning_content"] == "Hm."
    assert message["tool_calls"] == [make_call("add", {"a": 1}, 2), make_call("", {}, 3)]
