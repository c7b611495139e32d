"""Marks of thinking as data."""

import pytest

from mentor.chat import parse_turn
from mentor.chat.messages import make_call
from mentor.chat.parse import split_reasoning
from mentor.chat.syntax import SYNTAXES, load_syntax
from mentor.chat.thinking import THINK, Thinking

GEMMA = load_syntax("gemma")
EACH = Thinking("<a>", "</a>", each=True)


@pytest.mark.parametrize("syntax", [pytest.param(syntax, id=syntax.name) for syntax in SYNTAXES])
def test_the_thinking_of_each_family_is_read_beside_its_calls(syntax):
    call = syntax.write([make_call("add", {"a": 1})])
    opening, closing = syntax.thinking.opening, syntax.thinking.closing
    turn = parse_turn(f"{opening}\nWhich? {call}\n{closing}{call}", syntax)
    assert [one.name for one in turn.calls] == ["add"] and turn.hidden_calls >= 1
    assert turn.reasoning.startswith("Which?") and turn.content == ""
    assert parse_turn(f"{opening} still {call}", syntax).calls == ()


def test_the_marks_of_another_family_are_text():
    text = "<think>no thought here</think>"
    assert split_reasoning(text, GEMMA) == ("", text)
    assert split_reasoning("<|channel>thought\nHm.\n<channel|>Yes.", GEMMA) == ("Hm.", "Yes.")
    assert load_syntax("command").thinking.opening == "<|START_THINKING|>"


def test_a_mark_in_an_argument_is_no_thinking():
    call = GEMMA.write([make_call("search", {"query": "<channel|>"})])
    turn = parse_turn(f"Now: {call}", GEMMA)
    assert (turn.content, turn.reasoning, turn.calls[0].arguments) == ("Now:", "", {"query": "<channel|>"})


@pytest.mark.parametrize(
    ("prompt", "opened", "opens"),
    [
        ("user: x", None, False),
        ("assistant\n<think>\n", "<think>\n", True),
        ("assistant\n<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n", False),
        ("<think>x", None, False),
    ],
)
def test_what_a_prompt_opens(prompt, opened, opens):
    match = THINK.opened(prompt)
    assert ((match and match[0]), THINK.opens(prompt)) == (opened, opens)


def test_the_thinking_of_several_turns_is_removed():
    assert EACH.removed("<a>x</a> to=b") == " to=b"
    assert THINK.removed("a<think>x</think>\n\nb<think>\n\n</think>c<think>d") == "abc<think>d"


@pytest.mark.parametrize(
    ("text", "thinking", "rest"),
    [
        ("<a>x</a>yes<a>\ny</a> no", "x\n\ny", "yes no"),
        ("yes</a>", "", "yes</a>"),
        (" \n<a>x</a> to=b", "x", " to=b"),
        ("yes<a>x", "x", "yes"),
        ("yes", "", "yes"),
    ],
)
def test_each_stretch_may_be_thinking(text, thinking, rest):
    assert EACH.split(text, text) == (thinking, rest)


@pytest.mark.parametrize(
    ("text", "inside", "expected"),
    [
        ("yes", False, False),
        ("yes", True, True),
        ("<think>hm", False, True),
        ("hm</think>yes", True, False),
        ("<think>hm</think>yes<think>", False, False),  # as it is read: nothing behind the last closing is thinking
    ],
)
def test_thinking_that_is_left_open(text, inside, expected):
    assert THINK.left_open(text, inside) is expected
    further = Thinking(closing="</end>")
    assert further.left_open(text.replace("</think>", "</end>"), inside) is expected


def test_thinking_that_is_left_open_in_one_of_several_stretches():
    texts = ("<a>x", "<a>x</a>yes", "<a>x</a>yes<a>y", "yes")
    assert [EACH.left_open(text) for text in texts] == [True, False, True, False]
