"""Turns of several messages: gpt-oss's channels, and recipients alone."""

import pytest

from mentor.chat import ParsedCall, parse_turn
from mentor.chat.syntax import load_syntax

HARMONY, ATEM = load_syntax("harmony"), load_syntax("atem")
ARGUMENTS = '{"a": 1, "b": 2}'
ADD = ParsedCall("add", {"a": 1, "b": 2})
THOUGHT = "<|channel|>analysis<|message|>Which tool?<|end|><|start|>assistant"


@pytest.mark.parametrize(
    "header",
    [
        " to=functions.add<|channel|>commentary json<|message|>",
        "<|channel|>commentary to=functions.add <|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.add<|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.add<|message|>",
        "<|channel|>analysis to=functions.add json<|message|>",
    ],
)
@pytest.mark.parametrize("end", ["", "<|call|>"])
@pytest.mark.parametrize("thought", ["", THOUGHT])
def test_a_recipient_stands_before_the_channel_or_behind_it(header, end, thought):
    turn = parse_turn(f"{thought}{header}{ARGUMENTS}{end}", HARMONY)
    assert (turn.calls, turn.content) == ((ADD,), "")
    assert turn.reasoning == ("Which tool?" if thought else "")


def test_a_turn_of_several_messages():
    text = (
        "<|channel|>analysis<|message|>First.<|end|>"
        "<|start|>assistant<|channel|>commentary<|message|>Let me look.<|end|>"
        "<|start|>assistant<|channel|>analysis<|message|>Then <|channel|>.<|end|>"
        f"<|start|>assistant to=functions.add<|channel|>commentary json<|message|>{ARGUMENTS}<|call|>"
        f"<|start|>assistant<|channel|>commentary to=functions.now<|message|>{{}}<|call|>"
        "<|start|>assistant<|channel|>final<|message|>It is\n\n3."
    )
    turn = parse_turn(text, HARMONY)
    assert turn.reasoning == "First.\n\nThen <|channel|>." and turn.hidden_calls == 0
    assert turn.content == "Let me look.\nIt is\n\n3." and turn.calls == (ADD, ParsedCall("now", {}))


def test_an_answer_and_thinking_that_is_cut():
    assert parse_turn("<|channel|>final<|message|>Yes.", HARMONY).content == "Yes."
    cut = parse_turn("<|channel|>analysis<|message|>to=functions.add", HARMONY)
    assert (cut.content, cut.reasoning, cut.calls, cut.hidden_calls) == ("", "to=functions.add", (), 1)
    for text in ("", "<|channel|>", "<|channel|>final", "I set to=functions.add here."):
        assert parse_turn(text, HARMONY).calls == ()


def test_marks_in_the_strings_of_a_call_do_not_end_it():
    query = "<|end|><|start|>assistant<|channel|>analysis<|message|>x<|call|>"
    turn = parse_turn(f' to=functions.search<|channel|>commentary json<|message|>{{"q": "{query}"}}<|call|>', HARMONY)
    assert (turn.calls, turn.reasoning) == ((ParsedCall("search", {"q": query}),), "")


@pytest.mark.parametrize(
    ("text", "name", "problem"),
    [
        (" to=functions.add<|message|>{1}", "add", "not valid JSON"),
        (" to=functions.add<|message|>", "add", "arguments of a call are a JSON object"),
        (" to=functions.add<|message|>[1]<|call|>", "add", "arguments of a call are a JSON object"),
        (" to=functions.add<|channel|>commentary json{}<|call|>", "add", "header of a call ends with <|message|>"),
        (" to=functions.add<|message|>{} and<|call|>", "add", "text after the arguments"),
        (" to=functions.<|message|>{}", None, "addressed to functions.NAME"),
    ],
)
def test_a_malformed_call_says_what_is_wrong(text, name, problem):
    turn = parse_turn(f"{text}<|start|>assistant to=functions.now<|message|>{{}}", HARMONY)
    first, second = turn.calls
    assert first.name == name and problem in (first.problem or "")
    assert second == ParsedCall("now", {}) and turn.content == ""


def test_messages_for_oneself_the_user_and_tools():
    call = ATEM.write([{"function": {"name": "add", "arguments": {"a": 1, "b": "x y"}}}])
    text = f" to=self<|message|>Hm.<|eom|><|start|>assistant to=user<|message|>Now:<|eom|><|start|>assistant{call}"
    turn = parse_turn(text, ATEM)
    assert (turn.reasoning, turn.content) == ("Hm.", "Now:")
    assert turn.calls == (ParsedCall("add", {"a": 1, "b": "x y"}),)
    assert parse_turn(" to=user<|message|>The answer is 5.", ATEM).content == "The answer is 5."
