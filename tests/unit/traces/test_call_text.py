"""Calls in text: between tags, after Glaive's mark, in Python's form, and what is none."""

import pytest

from mentor.traces.call_text import CallTextError, call_of, marked_calls, python_calls, tagged_calls


def test_calls_between_tags_as_json_as_a_python_literal_and_as_a_list():
    text = (
        'One moment.\n<tool_call>\n{"name": "stock", "arguments": {"item": "nut </tool_call>"}}\n</tool_call>\n'
        "<tool_call>{'name': 'price', 'arguments': {'net': True}}</tool_call>"
        '<tool_call>[{"name": "stock", "arguments": "{\\"item\\": \\"bolt\\"}"}, {"name": "now"}]</tool_call>'
    )
    around, calls = tagged_calls(text)
    assert around == "One moment."
    assert calls == [
        ("stock", {"item": "nut </tool_call>"}),
        ("price", {"net": True}),
        ("stock", {"item": "bolt"}),
        ("now", {}),
    ]


def test_calls_after_glaives_mark_with_arguments_in_single_quotes():
    text = """I look it up. <functioncall> {"name": "stock", "arguments": '{"item": "smith\\'s nail", "n": 2}'} """
    assert marked_calls(text) == ("I look it up.", [("stock", {"item": "smith's nail", "n": 2})])
    assert marked_calls('<functioncall> {"name": "now", "arguments": {}} ') == ("", [("now", {})])
    assert marked_calls("""<functioncall> {"name": "x", "arguments": '{"t": "it's"}'}""")[1] == [("x", {"t": "it's"})]


def test_calls_as_a_python_list_whose_names_hold_spaces():
    text = '[Get Weather(city="Rome (old)", days=[1, 2], now=true, at=None), v1/sum-up(values={"a": -1.5}), Now()]'
    assert python_calls(text) == (
        "",
        [
            ("Get Weather", {"city": "Rome (old)", "days": [1, 2], "now": True, "at": None}),
            ("v1/sum-up", {"values": {"a": -1.5}}),
            ("Now", {}),
        ],
    )


@pytest.mark.parametrize("text", ["It is [sic] (so).", "[1, 2]", "[see (2)]: no", "", '["a", "b(c)"]'])
def test_other_text_holds_no_python_calls(text):
    assert python_calls(text) == (text.strip(), [])


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        (tagged_calls, '<tool_call>{"name": "a", "arguments": {}}', "not closed"),
        (tagged_calls, "<tool_call>add 2</tool_call>", "is not JSON"),
        (tagged_calls, '<tool_call>{"name": "a", "args": {"x": 1}}</tool_call>', "arguments under 'args'"),
        (tagged_calls, '<tool_call>{"name": "a", "arguments": [1]}</tool_call>', r"arguments of 'a' are \[1\]"),
        (marked_calls, "<functioncall> stock(nut)", "is not JSON"),
        (marked_calls, """<functioncall> {"name": "a", "arguments": '{"x"}'}""", "arguments of 'a' are not JSON"),
        (python_calls, "[stock(1)]", "call of 'stock' has no literal arguments"),
        (python_calls, "[stock(item=nut)]", "call of 'stock' has no literal arguments"),
        (python_calls, "[stock(a=1))]", "is no list of calls: '\\)'"),
    ],
)
def test_what_begins_like_a_call_and_is_none_is_refused(read, text, why):
    with pytest.raises(CallTextError, match=why):
        read(text)


def test_arguments_as_an_object_as_text_or_none():
    for arguments in ({"a": 1}, '{"a": 1}'):
        assert call_of({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}) == (
            "f",
            {"a": 1},
        )
    assert call_of({"name": "f", "arguments": ""}) == call_of({"name": "f", "arguments": None}) == ("f", {})
    assert call_of({"name": "f", "parameters": {"a": 1}}) == ("f", {"a": 1})
    for none in ({}, [], "f", {"name": 3}, {"name": " "}):
        with pytest.raises(CallTextError, match="is no call with a name"):
            call_of(none)
