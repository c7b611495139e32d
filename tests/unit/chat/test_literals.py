"""Values as Python and Gemma write them."""

import ast
import re

import pytest

from mentor.chat.json_text import TOO_DEEP
from mentor.chat.literals import read_literal, read_map, write_literal, write_map

VALUES = [1, -2.5, True, None, 'it\'s "x" \\ \n\t\u2028 🙂', [], [1, ["a"], {}], {"a b": {"c": [None]}}, 1e300, 2**70]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_written_is_read_here_and_by_python(value):
    text = write_literal(value)
    assert read_literal(text, 0) == (value, len(text)) and ast.literal_eval(text) == value
    text = write_map({"a": value})
    assert read_map(text + "rest", 0) == ({"a": value}, len(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("null", None),
        ("'it\\'s'", "it's"),
        ("(1, 2,)", [1, 2]),
        (r'"\ud83d\ude00 \x41"', "😀 A"),
        (r"'\d'", r"\d"),
        ("{'a': 1, b: 2}", {"a": 1, "b": 2}),
        ("+.5", 0.5),
    ],
)
def test_other_spellings_are_read(text, value):
    assert read_literal(text, 0) == (value, len(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("'open", "not closed"),
        ('<|"|>open', "not closed"),
        ("[1, 2", "] is missing"),
        ("[1 2]", "expected , or ]"),
        ("{a 1}", "expected a key"),
        ("{'a' 1}", "expected :"),
        ("x + 1", "'x' is not a value"),
        ("", "expected a value"),
        ("1e999", "too large"),
        (r"'\ud800'", "surrogate"),
        (r"'\U00110000'", "no character"),
        ("[" * 500, TOO_DEEP),
        ("{a:" * 500, TOO_DEEP),
        ("9" * 5000, "is not a value"),
    ],
)
def test_what_is_no_value_says_why(text, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_literal(text, 0)
