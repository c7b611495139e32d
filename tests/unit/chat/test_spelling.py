"""Spellings as data."""

import pytest

from mentor.chat.messages import make_call
from mentor.chat.spelling import Spelling, pattern
from mentor.errors import InputError

USERS = {"name": "mine", "call": "<use {name}>{arguments}</use>", "section": ["<uses>", "</uses>"]}


def test_calls_are_written_with_what_stands_around_and_between_them():
    calls = [make_call("add", {"a": 1, "b": "x"}), make_call("now", {}, 1)]
    mine = Spelling.from_values(USERS, "mine.yaml")
    assert mine.write(calls) == '<uses><use add>{"a": 1, "b": "x"}</use>\n<use now>{}</use></uses>'
    pairs = Spelling("p", "<{name}>{arguments}", "pairs", "[{key}]{value};", separator=" ")
    assert pairs.write(calls) == "<add>[a]1;[b]x; <now>"
    assert Spelling("j", "{object}", "list", section=("[", "]"), keys=("n", "a")).write(calls[1:]) == (
        '[{"n": "now", "a": {}}]'
    )
    assert Spelling("n", "{id}/{name}:{number}{arguments}").write(calls[1:]) == "call_1/now:0{}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"call": None}, "call=None: accepted is text"),
        ({"call": ""}, "lacks `call`"),
        ({"colour": "red"}, "colour='red': unknown key; keys are name, call, arguments, pair"),
        ({"section": "x"}, "section='x': accepted is a list of two texts"),
        ({"arguments": "xml"}, "arguments='xml', accepted are object, list, json"),
        ({"call": "<use>"}, "has to hold {name} and {arguments} once each"),
        ({"call": "{name}{arguments}"}, "has to begin with a mark"),
        ({"arguments": "pairs", "pair": "{key}{value}"}, "between marks"),
        ({"thinking": ["<think>", " "]}, "what opens and closes the thinking"),
        ({"arguments": "list", "call": "{object}", "section": ["", ""]}, "what opens and closes the list"),
    ],
)
def test_a_spelling_that_cannot_be_used_is_refused(change, said):
    with pytest.raises(InputError) as error:
        Spelling.from_values({**USERS, **change}, "mine.yaml")
    assert str(error.value).startswith("mine.yaml") and said in str(error.value)


def test_a_file_without_keys_is_refused():
    with pytest.raises(InputError, match="mine.yaml holds no call syntax"):
        Spelling.from_values(["x"], "mine.yaml")


def test_white_space_and_numbers_of_a_pattern_are_free():
    assert pattern("a\n b{number}.") == r"a\s*b\d{1,9}\."
