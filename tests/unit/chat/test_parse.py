import pytest

from mentor.chat import parse_turn
from mentor.chat.parse import split_reasoning

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


def test_a_final_turn_has_content_and_no_calls():
    turn = parse_turn("The answer is \\boxed{3}.")
    assert (turn.content, turn.reasoning, turn.calls) == ("The answer is \\boxed{3}.", "", ())


def test_text_and_parallel_calls():
    turn = parse_turn(f"First.\n{CALL}\n{CALL.replace('2', '5')}")
    assert turn.content == "First."
    assert [call.name for call in turn.calls] == ["add", "add"]
    assert [call.arguments for call in turn.calls] == [{"a": 1, "b": 2}, {"a": 1, "b": 5}]
    assert all(call.problem is None for call in turn.calls)


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        ("<tool_call>{oops}</tool_call>", None, "not valid JSON"),
        ('<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>', None, "NaN is not a JSON value"),
        ('<tool_call>{"name": "add", "arguments": {"a": 1e999}}</tool_call>', None, "not valid JSON"),
        (r'<tool_call>{"name": "add", "arguments": {"a": "\ud800"}}</tool_call>', None, "can't encode character"),
        (r'<tool_call>{"name": "\udfff", "arguments": {}}</tool_call>', None, "can't encode character"),
        ("<tool_call>[1]</tool_call>", None, "a call is a JSON object, got list"),
        ('<tool_call>{"arguments": {}}</tool_call>', None, 'a call needs "name" as text'),
        ('<tool_call>{"name": 3, "arguments": {}}</tool_call>', None, 'a call needs "name" as text'),
        ('<tool_call>{"name": "add", "arguments": "{}"}</tool_call>', "add", '"arguments" is a JSON object, got str'),
        ('<tool_call>{"name": "add"', None, "<tool_call> is not closed"),
        ('{"name": "add", "arguments": {}}</tool_call>', None, "</tool_call> without <tool_call>"),
        ("<tool_call>" + "[" * 100_000 + "</tool_call>", None, "not valid JSON"),
        ('<tool_call>{"name": "add", "arguments": {"a": ' + "9" * 5000 + "}}</tool_call>", None, "not valid JSON"),
    ],
)
def test_a_malformed_call_is_data_that_says_what_is_wrong(text, name, problem):
    (call,) = parse_turn(text).calls
    assert call.name == name
    assert call.problem is not None and problem in call.problem


def test_an_unclosed_call_does_not_swallow_the_next_one():
    first, second = parse_turn(f'<tool_call>\n{{"name": "add"\n{CALL}').calls
    assert first.problem == "<tool_call> is not closed"
    assert second.problem is None and second.name == "add"


def test_missing_arguments_are_none_at_all():
    (call,) = parse_turn('<tool_call>{"name": "now"}</tool_call>').calls
    assert (call.name, call.arguments, call.problem) == ("now", {}, None)


def test_calls_and_boxes_inside_reasoning_do_not_count():
    turn = parse_turn(f"<think>{CALL} \\boxed{{9}}</think>\n\nDone.")
    assert turn.calls == () and turn.content == "Done." and "\\boxed{9}" in turn.reasoning


def test_unclosed_reasoning_leaves_nothing_visible():
    assert split_reasoning("<think>still going") == ("still going", "")
    assert split_reasoning("opened by the template</think>rest") == ("opened by the template", "rest")
