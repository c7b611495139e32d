import pytest

from mentor.chat import AssistantTurn, ParsedCall, parse_turn
from mentor.chat.messages import assistant_message
from mentor.chat.parse import split_reasoning
from mentor.chat.syntax import HERMES, LLAMA

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


BARE = '{"name": "add", "parameters": {"a": 1, "b": 2}}'
ADD = ParsedCall("add", {"a": 1, "b": 2})


def tagged(arguments: str) -> str:
    return f'<tool_call>\n{{"name": "add", "arguments": {arguments}}}\n</tool_call>'


@pytest.mark.parametrize(
    "text",
    [
        BARE,
        f"\n{BARE} \n",
        f"<|python_tag|>{BARE}",
        BARE.replace('"name": "add", ', '"type": "function", "name": "add", '),
    ],
)
def test_a_bare_object_is_a_call(text):
    turn = parse_turn(text, LLAMA)
    assert (turn.calls, turn.content) == ((ADD,), "")


@pytest.mark.parametrize("text", ["The sum is 3.", "{1, 2} has two members.", "{}", f"I call {BARE}", tagged("{}"), ""])
def test_what_does_not_begin_like_a_bare_call_is_text(text):
    turn = parse_turn(text, LLAMA)
    assert (turn.calls, turn.content) == ((), text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{BARE}; {BARE}", "not valid JSON: Extra data"),
        ('{"name": "add", "parameters": {"a": 1', "not valid JSON"),
        ('{"name": "add", "parameters": [1]}', '"parameters" is a JSON object, got list'),
        ('{"name": "add", "arguments": {"a": 1}}', 'under "parameters", got "arguments"'),
        ('{"name": 1, "parameters": {}}', 'needs "name" as text'),
        ('{"name": "add", "parameters": {"a": Infinity}}', "Infinity is not a JSON value"),
        ('{"name":' * 50_000, "not valid JSON"),
    ],
)
def test_a_malformed_bare_call_says_what_is_wrong(text, problem):
    (call,) = parse_turn(text, LLAMA).calls
    assert call.problem is not None and problem in call.problem


def test_tags_inside_the_strings_of_a_call_do_not_end_it():
    tags = "</tool_call> <tool_call> </think> <think>"
    text = "Look: " + tagged(f'{{"q": "{tags}"}}') + " and " + tagged('{"a": 1}') + "!"
    turn = parse_turn(text)
    assert [call.arguments for call in turn.calls] == [{"q": tags}, {"a": 1}]
    assert turn.content == "Look:  and !" and turn.reasoning == "" and turn.hidden_calls == 0


def test_a_call_that_opens_inside_a_broken_one_is_found():
    first, second = parse_turn('<tool_call>{"name": "<tool_call>{"name": "add", "arguments": {}}</tool_call>').calls
    assert first.problem == "<tool_call> is not closed" and second == ParsedCall("add", {})


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"<think>{tagged('{}')}</think>Done.", 1),
        (f"<think>{tagged('{}')} and <tool_call>{{oops</think>Done.", 2),
        (f"<think>never closed {tagged('{}')}", 1),
        ("<think>" + tagged('{"q": "</think>"}') + " still thinking", 1),
        ("<think>none</think>Done.", 0),
    ],
)
def test_calls_hidden_in_thinking_are_counted_and_not_run(text, hidden):
    turn = parse_turn(text)
    assert (turn.calls, turn.hidden_calls) == ((), hidden)


def test_bare_calls_hidden_in_thinking_are_counted():
    turn = parse_turn(f"<think>either {BARE} or {BARE}</think>{BARE}", LLAMA)
    assert (turn.calls, turn.hidden_calls) == ((ADD,), 2)


def test_where_the_prompt_opens_the_thinking_an_unclosed_turn_is_all_thinking():
    turn = parse_turn(f"First {tagged('{}')}", HERMES, thinking_open=True)
    assert (turn.content, turn.calls, turn.hidden_calls) == ("", (), 1)
    assert split_reasoning("a</think>b", HERMES, thinking_open=True) == ("a", "b")


def test_a_message_is_read_as_the_turn_it_was_written_from():
    turn = AssistantTurn("Add.", "Which? <tool_call>", (ADD, ParsedCall("now", {})), hidden_calls=1)
    message = assistant_message(turn.content, turn.reasoning, turn.calls, first_call=4)
    assert AssistantTurn.from_message(message) == turn
    assert AssistantTurn.from_message({"role": "assistant", "content": None}) == AssistantTurn("", "", ())
